# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The model on files, videos, sessions and bags, as the page shows it."""

from __future__ import annotations

import asyncio
import threading
import time

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="no onnxruntime in this environment")

from dfd_perception.bags.messages import camera_info_message, compressed_image_message, image_message  # noqa: E402
from dfd_perception.bags.writer import BagWriter  # noqa: E402
from dfd_perception.core.camera import CameraIntrinsics  # noqa: E402
from dfd_perception.core.lens import LensDescription  # noqa: E402
from dfd_perception.errors import DatasetError, DfdPerceptionError, ImageError, LensError, UsageError  # noqa: E402
from dfd_perception.evaluation.sources.bag_options import BagOptions  # noqa: E402
from dfd_perception.inference.estimator import EstimatorOptions  # noqa: E402
from dfd_perception.media.result_video import VideoWriter  # noqa: E402
from dfd_perception.view.frame_slot import FrameSlot  # noqa: E402
from dfd_perception.view.opening import ViewRequest, open_feed  # noqa: E402

LENS = LensDescription(aperture_diameter_mm=25, focus_distance_m=0.6, blur_floor_px=0.0)
CAMERA = CameraIntrinsics(width=80, height=48, fx=660, fy=660, cx=40, cy=24)
ONE_THREAD = EstimatorOptions(backend="onnxruntime", num_threads=1)


class Shown:
    """Runs a feed with somebody who looks, and keeps what was shown."""

    def __init__(self, request, looking=True):
        self.slot, self.frames, self.messages, self.problem = FrameSlot(), [], [], None
        self.slot.show = self._keep(self.slot.show, self.frames)
        self.slot.report = self._keep(self.slot.report, self.messages)
        self.feed = open_feed(request)
        self._stop = threading.Event()
        self._loop = asyncio.new_event_loop()
        if looking:
            self._loop.run_until_complete(self._look())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @staticmethod
    def _keep(do, kept):
        def kept_too(item):
            do(item)
            kept.append(item)

        return kept_too

    async def _look(self):
        self.slot.add_viewer(asyncio.Event())

    def _run(self):
        try:
            self.feed.run(self.slot, self._stop)
        except DfdPerceptionError as error:
            self.problem = error

    def until(self, condition, what):
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"in a minute it did not happen that {what}"
            time.sleep(0.01)

    def close(self):
        self._stop.set()
        self._thread.join(20)
        self._loop.close()
        assert not self._thread.is_alive()


@pytest.fixture
def show(tiny_coc_model):
    started = []

    def start(*words, looking=True, **options):
        options = {"model": str(tiny_coc_model), "estimator": ONE_THREAD, **options}
        started.append(Shown(ViewRequest(words=[str(word) for word in words], **options), looking))
        return started[-1]

    yield start
    for shown in started:
        shown.close()


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        image = np.random.default_rng(number).integers(0, 256, (48, 80, 3), np.uint8)
        cv2.imwrite(str(folder / f"photo_{number}.png"), image)
    return folder


@pytest.fixture
def clip(tmp_path):
    with VideoWriter(tmp_path / "clip.avi", 20.0) as writer:
        for number in range(20):
            writer.write(np.full((48, 80, 3), 10 * number, np.uint8))
    return tmp_path / "clip.avi"


def test_files_are_leafed_through(show, album):
    shown = show(album, lens=LENS, fx_px=660.0)
    presses = ((None, "photo_0"), ("next", "photo_1"), ("previous", "photo_0"), ("previous", "photo_2"))
    for count, (button, name) in enumerate(presses):
        if button:
            shown.feed.command(button)
        shown.until(lambda count=count: len(shown.frames) > count, "an image is shown")
        assert shown.frames[-1].name == name
    frame = shown.frames[-1]
    assert set(frame.images) == {"input", "deblurred"}
    assert set(frame.maps) == {"depth", "std", "blur"}
    assert (frame.camera.fx, frame.camera.cx) == (660, 39.5)
    # Depth and blur agree through the lens: 1/d = 1/F - c/K with K = 660 px x 25 mm.
    there = np.isfinite(frame.maps["depth"])
    expected = 1 / (1 / 0.6 - frame.maps["blur"][there] / 16.5)
    np.testing.assert_allclose(frame.maps["depth"][there], expected, rtol=1e-3)


def test_a_file_that_is_no_image_is_named_and_the_others_are_shown(show, album):
    (album / "photo_1.png").write_bytes(b"nothing")
    shown = show(album)
    shown.until(lambda: shown.frames, "the first image is shown")
    shown.feed.command("next")
    shown.until(lambda: any(m.level == 2 for m in shown.messages), "the bad file is named")
    assert "photo_1.png" in shown.messages[-1].message
    shown.feed.command("next")
    shown.until(lambda: shown.frames[-1].name == "photo_2", "the next image is shown")


def test_without_a_lens_the_page_says_why_there_is_no_depth(show, album):
    shown = show(album)
    shown.until(lambda: any(m.level == 1 for m in shown.messages), "the page warns")
    assert "give the lens with --lens" in shown.messages[-1].message
    assert set(shown.frames[-1].maps) == {"blur"}


def test_a_video_plays_in_its_time_over_and_over_and_pauses(show, clip):
    shown = show(clip)
    shown.until(lambda: len(shown.frames) > 30, "it plays more than once")
    stamps = np.array([frame.stamp_ns for frame in shown.frames])
    assert (np.diff(stamps) < 0).any()
    shown.feed.command("pause")
    time.sleep(0.3)
    count = len(shown.frames)
    time.sleep(0.5)
    assert len(shown.frames) == count
    shown.feed.command("play")
    shown.until(lambda: len(shown.frames) > count, "it goes on")


def test_a_slow_model_skips_frames_and_keeps_up(show, clip, monkeypatch):
    from dfd_perception.inference.estimator import DepthEstimator

    quick = DepthEstimator.predict
    monkeypatch.setattr(DepthEstimator, "predict", lambda *given: (time.sleep(0.2), quick(*given))[1])
    shown = show(clip)
    shown.until(lambda: len(shown.frames) > 4, "frames are shown")
    # A frame every 50 ms, an answer every 200 ms: about every fourth is shown.
    steps = np.diff([frame.stamp_ns for frame in shown.frames[:5]]) * 1e-9
    assert (steps[steps > 0] >= 0.1).all()


def test_nothing_runs_while_nobody_looks(show, clip):
    shown = show(clip, looking=False)
    time.sleep(0.5)
    assert shown.frames == []


def write_bag(path, depth=True, info=True, image_topic="/camera/image_raw", fx_of_p=None, mono16=False):
    writer = BagWriter(path)
    for number in range(4):
        stamp = 1_000_000_000 + number * 50_000_000
        image = np.random.default_rng(number).integers(0, 256, (48, 80, 3), np.uint8)
        writer.write(image_topic, "sensor_msgs/msg/Image", stamp, image_message(image, "rgb8", stamp, "cam"))
        if info:
            message = camera_info_message(CAMERA, stamp, "cam")
            if fx_of_p is not None:
                message.d, message.p[0] = np.array([-0.2, 0.1, 0.0, 0.0, 0.0]), fx_of_p
            writer.write("/camera/camera_info", "sensor_msgs/msg/CameraInfo", stamp, message)
        if depth:
            depth_m = np.full((48, 80), 1.0 + number, np.float32)
            message = image_message(depth_m, "32FC1", stamp, "cam")
            if mono16:
                message = image_message((depth_m * 8000).astype(np.uint16), "mono16", stamp, "cam")
            writer.write("/truth/depth", "sensor_msgs/msg/Image", stamp, message)
    writer.close()
    return path


def test_a_bag_shows_the_model_beside_what_was_measured(show, tmp_path):
    shown = show(write_bag(tmp_path / "bag"), lens=LENS)
    shown.until(lambda: len(shown.frames) >= 2, "frames are shown")
    frame = shown.frames[0]
    assert set(frame.maps) == {"depth", "std", "blur", "measured"}
    assert frame.maps["measured"][0, 0] == 1.0
    assert frame.camera == CAMERA


@pytest.mark.parametrize(("topic", "fx"), [("/camera/image_raw", CAMERA.fx), ("/camera/image_rect", 500.0)])
def test_blur_and_points_of_a_rectified_topic_go_by_p(show, tmp_path, topic, fx):
    shown = show(write_bag(tmp_path / "bag", depth=False, image_topic=topic, fx_of_p=500.0), lens=LENS)
    shown.until(lambda: shown.frames, "frames are shown")
    assert shown.frames[0].camera.fx == fx


def test_mono16_depth_is_shown_by_the_unit_that_is_asked_for(show, tmp_path):
    bag = write_bag(tmp_path / "bag", mono16=True)
    with pytest.raises(ImageError, match="mono16 has no unit; say which: --depth-unit"):
        open_feed(ViewRequest(words=[str(bag)]))
    shown = show(bag, bag=BagOptions(depth_unit_m=1 / 8000))
    shown.until(lambda: shown.frames, "frames are shown")
    assert shown.frames[0].maps["measured"][0, 0] == pytest.approx(1.0)


def test_recorded_shows_a_bag_without_a_model(show, tmp_path):
    shown = show(write_bag(tmp_path / "bag"), recorded=True, model="no such model")
    shown.until(lambda: shown.frames, "frames are shown")
    assert set(shown.frames[0].maps) == {"depth"}


def test_the_answers_of_a_node_are_shown_as_they_were_recorded(show, tmp_path):
    writer = BagWriter(tmp_path / "answers")
    topics = {"/r1/image": None, "/r1/depth/image": 1.5, "/r1/depth/std": 0.1, "/r1/defocus/image": 0.0}
    for number in range(3):
        stamp = 5_000_000_000 + number * 40_000_000
        for name, value in topics.items():
            pixels = np.full((48, 80, 3), 9, np.uint8) if value is None else np.full((48, 80), value, np.float32)
            message = image_message(pixels, "rgb8" if value is None else "32FC1", stamp, "cam")
            writer.write(name, "sensor_msgs/msg/Image", stamp, message)
        info = camera_info_message(CAMERA, stamp, "cam")
        writer.write("/r1/depth/camera_info", "sensor_msgs/msg/CameraInfo", stamp, info)
    writer.close()
    shown = show(tmp_path / "answers", model="no such model")
    shown.until(lambda: len(shown.frames) >= 2, "frames are shown")
    frame = shown.frames[0]
    assert {name: float(values[3, 3]) for name, values in frame.maps.items()} == {
        "depth": 1.5, "std": pytest.approx(0.1), "blur": 0.0
    }  # fmt: skip
    assert frame.camera == CAMERA
    assert frame.images["input"][0, 0].tolist() == [9, 9, 9]
    assert frame.stamp_ns in (5_000_000_000, 5_040_000_000)


def write_what_cannot_be_shown(folder, photo):
    """A text, cut images, a video without frames, a session without fx, bags of which no moment can be shown."""
    (folder / "notes.txt").write_text("no image")
    whole = photo.read_bytes()
    (folder / "cut").mkdir()
    for path in (folder / "cut.png", folder / "cut" / "one.png", folder / "cut" / "two.png"):
        path.write_bytes(whole[: len(whole) // 2])
    with VideoWriter(folder / "clip.avi", 20.0) as writer:
        writer.write(np.zeros((48, 80, 3), np.uint8))
    clip = (folder / "clip.avi").read_bytes()
    (folder / "clip.avi").write_bytes(clip[: clip.index(b"movi") + 4])  # the head is whole, and says one frame
    (folder / "scene" / "defocused").mkdir(parents=True)
    (folder / "scene" / "defocused" / "000000.png").write_bytes(whole)
    (folder / "scene" / "dataset.yaml").write_text("name: scene\n")
    stamp = 1_000_000_000
    black, half = BagWriter(folder / "black"), BagWriter(folder / "half")
    spoilt = compressed_image_message(b"no image", "jpeg", stamp, "cam")
    black.write("/camera/image/compressed", "sensor_msgs/msg/CompressedImage", stamp, spoilt)
    for number, topic in enumerate(("/r1/depth/image", "/r1/defocus/image")):  # never of one stamp
        message = image_message(np.ones((8, 8), np.float32), "32FC1", stamp + number, "cam")
        half.write(topic, "sensor_msgs/msg/Image", stamp, message)
    black.close()
    half.close()


@pytest.mark.parametrize(
    ("words", "options", "problem", "said"),
    [
        (["nothing"], {}, UsageError, "nothing there; expected image files"),
        (["photos"], {"recorded": True}, UsageError, "--recorded is for a bag or a session"),
        (["photos"], {"lens": LENS}, LensError, "focal length in pixels is not known"),
        (["photos"], {"model": "no such model"}, UsageError, "no such model"),
        (["bag"], {}, UsageError, "bag"),
        (["notes.txt"], {}, ImageError, "notes.txt: cannot be decoded as an image"),
        (["cut.png"], {}, ImageError, "cut.png: PNG is cut short"),
        (["cut"], {}, ImageError, "cut: none of 2 images can be read; the first: .*one.png: PNG is cut short"),
        (["clip.avi"], {}, ImageError, "no frame of this video can be decoded"),
        (["black"], {}, ImageError, "black: .*is neither JPEG nor PNG"),
        (["half"], {"recorded": True}, DatasetError, "half: nothing to show; no image of it is complete"),
        (["scene"], {"lens": LENS}, LensError, "focal length in pixels is not known"),
        (["photos"], {"fx_px": float("nan")}, LensError, "fx_px is nan; expected"),
        (["photos"], {"fx_px": -3.0}, LensError, "fx_px is -3; expected"),
    ],
)
def test_wrong_use_is_said_in_one_line(tmp_path, album, monkeypatch, words, options, problem, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "metadata.yaml").write_text("nonsense: 1\n")
    write_what_cannot_be_shown(tmp_path, album / "photo_0.png")
    with pytest.raises(problem, match=said) as error:
        open_feed(ViewRequest(words=words, **options))
    assert "\n" not in str(error.value)
