# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Images from files, videos, streams and cameras: real files, a real stream over HTTP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from dfd_perception.errors import ImageError
from dfd_perception.media.capture import LiveCapture, Video, shown_address, stream_name
from dfd_perception.media.result_video import VideoWriter
from dfd_perception.media.source import open_source


def write_image(path, grey=128):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((20, 30, 3), grey, np.uint8))
    return path


@pytest.fixture
def clip(tmp_path):
    """Twelve frames, each brighter than the one before."""
    path = tmp_path / "clip.avi"
    with VideoWriter(path, 10.0) as writer:
        for number in range(12):
            writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    return path


def test_a_folder_gives_its_images_in_the_order_that_people_count(tmp_path):
    for name in ("frame_10.png", "frame_9.jpg", "frame_2.PNG", ".hidden.png", "notes.txt"):
        write_image(tmp_path / "my photos" / name) if "txt" not in name else (tmp_path / "my photos" / name).touch()
    source = open_source(str(tmp_path / "my photos"))
    assert [image.name for image in source.images()] == ["frame_2", "frame_9", "frame_10"]
    assert source.name == "my photos"
    assert (len(source), source.live, source.rate_hz) == (3, False, None)


def test_a_pattern_is_expanded_where_the_shell_did_not(tmp_path):
    for name in ("a1.png", "a2.png", "b1.png"):
        write_image(tmp_path / name)
    assert [image.name for image in open_source(str(tmp_path / "a*.png")).images()] == ["a1", "a2"]


def test_images_are_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "red.png"), np.full((4, 5, 3), (0, 0, 255), np.uint8))
    (image,) = open_source(str(tmp_path / "red.png")).images()
    assert image.image_rgb[0, 0].tolist() == [255, 0, 0]
    assert image.path == tmp_path / "red.png"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("nothing.png", "nothing there; expected image files, a folder"),
        ("*.png", "no image file fits this pattern"),
        (".", "a folder without images"),
        ("text.png", "text.png: "),
        ("cut.jpg", "cut.jpg: "),
        ("broken.mp4", "OpenCV cannot read this video"),
        ("977", "camera 977 cannot be opened; cameras here: "),
        ("http://127.0.0.1:9/x.mjpg", "OpenCV cannot open this address"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path, monkeypatch, capfd, word, said):
    monkeypatch.chdir(tmp_path)
    if word in ("text.png", "broken.mp4"):
        (tmp_path / word).write_text("not an image")
    if word == "cut.jpg":
        content = write_image(tmp_path / "whole.jpg").read_bytes()
        (tmp_path / word).write_bytes(content[: len(content) * 2 // 3])
        (tmp_path / "whole.jpg").unlink()
    with pytest.raises(ImageError) as error:
        list(open_source(word).images())
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_opencv_itself_says_nothing_of_a_camera_that_is_not_there():
    program = """
from dfd_perception.errors import ImageError
from dfd_perception.media.source import open_source
try:
    open_source("99")  # from 100 on a number names a kind of camera, which is asked in silence
except ImageError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    assert said.stdout.startswith("camera 99 cannot be opened")
    assert said.stderr == ""


def test_a_video_gives_every_frame_with_its_time(clip):
    source = open_source(str(clip))
    for _ in range(2):
        images = list(source.images())
        assert [round(image.time_s, 3) for image in images] == [round(0.1 * n, 3) for n in range(12)]
        assert [image.name for image in images[:2]] == ["clip_000000", "clip_000001"]
        levels = [float(image.image_rgb.mean()) for image in images]
        assert np.abs(np.array(levels) - 20 * np.arange(12)).max() < 4
    assert (len(source), source.rate_hz, source.live) == (12, 10.0, False)


def test_an_mp4_is_written_and_an_odd_side_loses_a_row(tmp_path):
    with VideoWriter(tmp_path / "out" / "clip.mp4", 25.0) as writer:
        for _ in range(3):
            writer.write(np.full((33, 64, 3), 200, np.uint8))
        with pytest.raises(ImageError, match="an image of 40 x 20 px; the video has 64 x 32"):
            writer.write(np.zeros((20, 40, 3), np.uint8))
    images = list(Video(str(tmp_path / "out" / "clip.mp4")).images())
    assert [image.image_rgb.shape for image in images] == [(32, 64, 3)] * 3


def test_images_come_together_but_not_with_a_video(tmp_path, clip):
    first, second = write_image(tmp_path / "a.png"), write_image(tmp_path / "b.png")
    together = open_source([str(second), str(first)])
    assert (together.name, len(together)) == ("images", 2)
    with pytest.raises(ImageError, match="images, clip: 2 sources; give one video"):
        open_source([str(first), str(clip)])


class MjpegServer:
    """An HTTP camera: frames at 50 a second whether somebody reads or not, each brighter than the one before."""

    def __init__(self, frames=400):
        self.frames, self.url = frames, ""
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    def _run(self, ready):
        from aiohttp import web

        async def stream(request):
            response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=next"})
            await response.prepare(request)
            for number in range(self.frames):
                jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), number % 250, np.uint8))[1].tobytes()
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                await response.write(head + jpeg + b"\r\n")
                await asyncio.sleep(0.02)
            return response

        async def start():
            app = web.Application()
            app.router.add_get("/front.mjpg", stream)
            self._runner = web.AppRunner(app, shutdown_timeout=0.1)
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/front.mjpg"
            ready.set()

        self._loop.run_until_complete(start())
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


def test_a_stream_gives_the_newest_frame_to_a_slow_reader():
    server = MjpegServer()
    source = open_source(server.url)
    try:
        assert isinstance(source, LiveCapture)
        taken = []
        for image in source.images():
            taken.append((image.time_s, float(image.image_rgb.mean())))
            if len(taken) == 6:
                break
            time.sleep(0.3)
        steps = np.diff([level for _, level in taken])
        # Of about fifteen frames that come in 0.3 s the last is seen, in order.
        assert (steps > 2).all()
        assert source.dropped > 5
        assert np.diff([time_s for time_s, _ in taken]).min() > 0.1
    finally:
        source.close()
        server.close()


def test_a_stream_that_ends_ends_the_images():
    server = MjpegServer(frames=30)
    source = open_source(server.url)
    try:
        assert 1 <= len(list(source.images())) <= 30
    finally:
        source.close()
        server.close()


def test_names_of_streams_and_addresses_without_passwords():
    assert stream_name("rtsp://me:secret@camera.local:554/front") == "camera.local_front"
    assert shown_address("rtsp://me:secret@camera.local/front") == "rtsp://camera.local/front"
