# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The page of `dfd view` in a real browser, fed by real processes: camera, node, viewer."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from support.chromium import until

pytest.importorskip("onnxruntime", reason="no onnxruntime in this environment")

from dfd_perception.media.result_video import VideoWriter  # noqa: E402

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

FX = 660.0
LENS = ["lens.aperture_diameter_mm:=25.0", "lens.focus_distance_m:=0.6", "lens.blur_floor_px:=0.0"]
LENS_FILE = "aperture_diameter_mm: 25\nfocus_distance_m: 0.6\nblur_floor_px: 0\n"
# Pixels of a canvas as one number; a WebGL canvas is read in the task that drew it.
CONTENT = "((c) => [...c.toDataURL()].reduce((h, s) => (h * 31 + s.charCodeAt(0)) | 0, 7))"
CLOUD = f"(dfdView.cloud.draw(), {CONTENT}(document.querySelector('#cloud canvas')))"


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        image = np.random.default_rng(number).integers(0, 256, (96, 160, 3), np.uint8)
        cv2.imwrite(str(folder / f"photo_{number}.png"), image)
    (tmp_path / "lens.yaml").write_text(LENS_FILE)
    return folder


@pytest.fixture
def show_album(serve, album, tiny_coc_model):
    def start(name=""):
        lens = ["--lens", str(album.parent / "lens.yaml"), "--fx", str(FX)]
        return serve(str(album / name), "--model", str(tiny_coc_model), "--backend", "onnxruntime", *lens)

    return start


class Depths:
    """Depth maps of a topic by stamp, taken in a thread."""

    def __init__(self, domain_id):
        import rclpy
        from sensor_msgs.msg import Image

        from dfd_perception.core.image_encoding import depth_m_from_image
        from dfd_perception.core.stamps import header_stamp_ns

        self.by_stamp = {}
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self._node = rclpy.create_node("witness", context=self._context)
        keep = lambda m: self.by_stamp.__setitem__(header_stamp_ns(m.header), depth_m_from_image(m).copy())  # noqa: E731
        self._node.create_subscription(Image, "depth/image", keep, 20)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self):
        from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

        executor = SingleThreadedExecutor(context=self._context)
        executor.add_node(self._node)
        with contextlib.suppress(ExternalShutdownException):
            while self._context.ok():
                executor.spin_once(timeout_sec=0.1)

    def close(self):
        import rclpy

        rclpy.shutdown(context=self._context)
        self._thread.join(10)
        self._node.destroy_node()


@pytest.fixture
def running_node(ros_environment, ros_domain_id, tmp_path, tiny_coc_model):
    """A camera that plays noise in a loop, the node that answers it, and a witness of its depth."""
    pytest.importorskip("rclpy", reason="no ROS 2 in this environment")
    with VideoWriter(tmp_path / "clip.avi", 10.0) as writer:
        for number in range(20):
            writer.write(np.random.default_rng(number).integers(0, 256, (96, 160, 3), np.uint8))
    parameters = [
        f"model:={tiny_coc_model}",
        "backend:=onnxruntime",
        "num_threads:=1",
        "diagnostics.period_s:=0.3",
        *LENS,
    ]
    given = [word for parameter in parameters for word in ("-p", parameter)]
    python = [sys.executable, "-m"]
    commands = [
        [*python, "dfd_perception.cli", "camera", str(tmp_path / "clip.avi"), "--loop", "--fx", str(FX)],
        [*python, "dfd_perception.ros.depth_node.dfd_node", "--ros-args", *given],
    ]
    processes = [subprocess.Popen(command, env=ros_environment) for command in commands]
    witness = Depths(ros_domain_id)
    yield witness
    witness.close()
    for process in processes:
        process.terminate()
        assert process.wait(30) == 0


def _pause_on_a_frame_that_was_heard(page, witness):
    """The stamp of the frame that the page stands still on; None, and the page goes on, where the witness missed it."""
    page.evaluate("document.getElementById('pause').click()")
    page.until("document.getElementById('pill-text').textContent === 'paused'", "the page pauses")
    # What was on its way when the button was pressed may still be drawn.
    drawn = None
    while drawn != (drawn := page.evaluate("dfdView.frames")):
        page.evaluate("new Promise((done) => setTimeout(done, 700))")
    stamp = int(page.evaluate("dfdView.frame.header.stamp_ns"))
    # The node keeps its last two depth maps for readers that are late: one reader can lack what another was given.
    for _ in range(20):
        if stamp in witness.by_stamp:
            return stamp
        time.sleep(0.1)
    page.evaluate("document.getElementById('pause').click()")
    page.until("document.getElementById('pill-text').textContent !== 'paused'", "the page goes on")
    return None


@pytest.mark.ros
def test_the_topics_of_a_node_move_and_the_value_under_the_cursor_is_the_topics(page, serve, running_node):
    page.open(serve("topics"), height=560)
    page.until("dfdView.frames > 3 && Boolean(dfdView.frame.maps.depth)", "frames are drawn")
    seen = {}
    for name, canvas in (("input", "#image-left"), ("depth", "#depth canvas"), ("blur", "#blur canvas")):
        page.evaluate("document.querySelector(a[0]).scrollIntoView()", canvas)
        script = f"{CONTENT}(document.querySelector('{canvas}'))"
        first = page.evaluate(script)
        seen[name] = until(lambda script=script, first=first: page.evaluate(script) != first, f"{name} moves")
    assert page.evaluate("document.getElementById('compare').classList.contains('two')")

    until(lambda: len(running_node.by_stamp) > 3, "the witness hears the topic")
    stamp = until(lambda: _pause_on_a_frame_that_was_heard(page, running_node), "the witness has the frame on the page")
    depth_m = running_node.by_stamp[stamp]
    unit = page.evaluate("dfdView.frame.maps.depth.unit")
    for u, v in ((0.1, 0.1), (0.5, 0.4), (0.93, 0.88)):
        page.move_mouse("#depth", u, v)
        x, y = page.until(
            "(document.querySelector('#readout dd') ?? {textContent: ''}).textContent.match(/\\d+/g)", "a pixel"
        )
        assert abs(int(x) - u * 160) <= 2
        assert abs(int(y) - v * 96) <= 2
        text = page.evaluate("document.getElementById('value-depth').firstChild.textContent")
        expected = depth_m[int(y), int(x)]
        if np.isnan(expected):
            assert text == "none"
        else:
            assert abs(float(text.removesuffix(" m")) - expected) <= 0.5 * unit + 0.0051

    page.evaluate("document.getElementById('card-cloud').scrollIntoView()")
    page.evaluate("document.getElementById('pause').click()")
    page.until("document.getElementById('cloud').classList.contains('filled')", "the point cloud is drawn")
    before = page.evaluate(CLOUD)
    page.evaluate("(dfdView.cloud.yaw += 0.8)")
    assert page.evaluate(CLOUD) != before
    page.until("document.querySelectorAll('#facts dt').length > 5", "diagnostics are shown")
    page.until("document.querySelectorAll('#plots canvas').length === 3", "plots are shown")
    stages = "[...document.querySelectorAll('#plots .plot')[1].querySelectorAll('.names i')]"
    page.until(f"{stages}.length > 5", "the latency of each stage is named")
    colours = page.evaluate(f"{stages}.map((line) => line.style.background)")
    assert len(set(colours)) == len(colours), colours


def test_images_are_leafed_through_by_buttons_and_keys(page, show_album):
    page.open(show_album())
    name = "document.getElementById('name').textContent"
    page.until(f"{name} === 'photo_0'", "the first image is shown")
    page.evaluate("document.getElementById('next').click()")
    page.until(f"{name} === 'photo_1'", "the next image is shown")
    for key, shown in (("ArrowRight", "photo_2"), ("ArrowLeft", "photo_1")):
        page.evaluate("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: a[0], bubbles: true}))", key)
        page.until(f"{name} === '{shown}'", f"{shown} is shown")
    before = page.evaluate("document.getElementById('image-left').style.clipPath")
    page.evaluate("document.getElementById('wipe').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}))")
    assert page.evaluate("document.getElementById('image-left').style.clipPath") != before


def test_a_single_image_is_not_called_live(page, show_album, album):
    page.open(show_album(next(album.iterdir()).name))
    page.until("document.getElementById('pill-text').textContent === '1 image'", "the head says what is shown")


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_in_light_and_dark(page, show_album, dark):
    page.open(show_album(), width=390, height=844, dark=dark)
    page.until("dfdView.frames > 0", "an image is shown")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(16, 19, 23)" if dark else "rgb(246, 247, 249)"
    )
    widths = page.evaluate(
        "[...document.querySelectorAll('.card:not([hidden])')].map((c) => c.getBoundingClientRect().right)"
    )
    assert max(widths) <= 390
    assert page.evaluate("document.getElementById('title').textContent") == "photos", "its name, not where it lies"
    # A distance that stands at the end of a legend is written inside of it.
    page.until("Boolean(dfdView.frame.maps.depth)", "depth is on its way")
    box = "document.getElementById('range-{}')"
    page.evaluate(f"({box.format('near')}.value = 1, {box.format('far')}.value = 2.03, {box.format('far')}.onchange())")
    spans = "[...document.querySelectorAll('#depth-legend span')]"
    inside = f"{spans}.map((s) => [s.textContent, s.getBoundingClientRect()])"
    page.until(f"{inside}.some(([text]) => text === '2 m')", "the fixed range is drawn")
    edge = "document.getElementById('depth-legend').getBoundingClientRect()"
    assert page.evaluate(f"{inside}.every(([, r]) => r.left >= {edge}.left - 0.5 && r.right <= {edge}.right + 0.5)")
    # A finger leaves its mark.
    page.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    page.move_mouse("#depth", 0.5, 0.5)
    x, y = page.evaluate("((b) => [b.left + 50, b.top + 50])(document.getElementById('depth').getBoundingClientRect())")
    for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
        page.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.until(
        "/ m$|none/.test(document.getElementById('value-depth').firstChild?.textContent ?? '')", "the value is shown"
    )


def test_the_page_says_when_the_viewer_has_gone_and_comes_back(page, show_album, chromium):
    page.open(show_album())
    page.until("dfdView.frames > 0", "an image is shown")
    page.evaluate("(dfdView.socket.close(), 1)")
    page.until("document.getElementById('banner').textContent.includes('connection')", "it says so")
    page.until("document.getElementById('banner').hidden", "it goes on")
