# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd view` and `dfd camera` as commands: what they print, how they end, and one line for every wrong use."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import numpy as np
import pytest

from dfd_perception.cli.__main__ import main
from dfd_perception.media.result_video import VideoWriter

pytest.importorskip("onnxruntime", reason="no onnxruntime in this environment")
aiohttp = pytest.importorskip("aiohttp", reason="no aiohttp in this environment")


@pytest.fixture
def clip(tmp_path):
    with VideoWriter(tmp_path / "clip.avi", 20.0) as writer:
        for number in range(10):
            writer.write(np.full((48, 80, 3), 10 * number, np.uint8))
    return tmp_path / "clip.avi"


async def frames_of(url, count):
    sizes = []
    async with aiohttp.ClientSession() as session, session.ws_connect(url + "socket") as socket:
        while len(sizes) < count:
            await socket.send_json({"ready": {"parts": ["input", "blur"], "side_px": 320}})
            while (message := await socket.receive(timeout=60)).type != aiohttp.WSMsgType.BINARY:
                assert message.type == aiohttp.WSMsgType.TEXT
            sizes.append(len(message.data))
    return sizes


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_video_is_served_until_a_signal_ends_it(clip, tiny_coc_model, how):
    command = [sys.executable, "-m", "dfd_perception.cli", "view", str(clip), "--port", "0"]
    command += ["--model", str(tiny_coc_model), "--backend", "onnxruntime"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith(f"{clip.name}: open http://127.0.0.1:")
        assert len(asyncio.run(frames_of(line.split()[2], 3))) == 3
        process.send_signal(how)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "")
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["view", "nothing.mp4"], "nothing.mp4: nothing there; expected image files"),
        (["view", "photo.png", "--node", "dfd"], "--node: for the topics of a node"),
        (["view", "topics", "--lens", "lens.yaml", "--fx", "3"], "--lens, --fx: for what the model runs on here"),
        (["view", "topics", "photo.png"], "topics stands alone; a folder of that name is ./topics"),
        (["view", "photo.png", "--size", "big"], "--size is 'big'; expected WIDTHxHEIGHT in pixels, such as 640x480"),
        (["view", "photo.png", "--min-m", "5", "--max-m", "1"], "expected 0 or more, the first smaller"),
        (["view", "photo.png", "--port", "99999"], "--port is 99999; expected 0 to 65535"),
        (["view", "photo.png", "--lens", "absent.yaml"], "absent.yaml"),
        (["view", "999"], "camera 999 cannot be opened"),
        (["view", "notes.txt"], "notes.txt: cannot be decoded as an image"),
        (["view", "empty"], "empty: a folder without images"),
        (["view", "http://127.0.0.1:1/clip.mp4"], "OpenCV cannot open this address"),
        (["view", "notes.txt", "--fx", "nan"], "fx_px is nan; expected"),
        (["view", "notes.txt", "--max-m", "nan"], "--max-m nan: expected 0 or more"),
        (["camera", "nothing.mp4"], "nothing.mp4: nothing there"),
        (["camera", "photo.png", "--rate", "0"], "--rate is 0; expected above 0"),
        (["camera", "photo.png", "--fx", "5", "--calibration", "a.yaml"], "give one of them"),
        (["camera", "photo.png", "--fx", "-5"], "--fx is -5"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capfd, arguments, said):
    if arguments[0] == "camera":
        pytest.importorskip("rclpy", reason="no ROS 2 in this environment")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    assert main(arguments) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]
