# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Live: the bag through a running node gives the figures of the offline evaluation, and drops are counted."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from dfd_perception.bags.messages import camera_info_message, image_message
from dfd_perception.bags.reader import BagReader
from dfd_perception.bags.writer import BagWriter
from dfd_perception.cli.__main__ import main
from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.evaluation.report.report_json import read_report
from dfd_perception.ros.tools.evaluation_session import stamp_ns_of_bytes

CAMERA = CameraIntrinsics(width=64, height=48, fx=620.0, fy=620.0, cx=31.5, cy=23.5)
START_NS, FRAMES = 1_700_000_000_000_000_000, 15
IMAGE = "sensor_msgs/msg/Image"


@pytest.fixture
def bag(tmp_path):
    rng = np.random.default_rng(0)
    with BagWriter(tmp_path / "scene") as writer:
        for i in range(FRAMES):
            stamp = START_NS + i * 100_000_000
            depth_mm = rng.integers(600, 3000, (48, 64)).astype(np.uint16)
            info = camera_info_message(CAMERA, stamp, "camera")
            writer.write("/robot/camera_info", "sensor_msgs/msg/CameraInfo", stamp, info)
            image = rng.integers(0, 256, (48, 64, 3), np.uint8)
            writer.write("/robot/image_raw", IMAGE, stamp + 1, image_message(image, "rgb8", stamp, "camera"))
            writer.write("/truth/depth", IMAGE, stamp + 2, image_message(depth_mm, "16UC1", stamp, "camera"))
    return tmp_path / "scene"


@pytest.fixture
def arguments(bag, tiny_coc_model, tmp_path):
    lens = tmp_path / "lens.yaml"
    lens.write_text("aperture_diameter_mm: 25\nfocus_distance_m: 0.6\n")
    return ["evaluate", "--model", str(tiny_coc_model), "--bag", str(bag), "--lens", str(lens),
            "--backend", "onnxruntime", "--threads", "1"]  # fmt: skip


def test_live_and_offline_agree(start_node, arguments, tmp_path, capsys):
    start_node(lens__aperture_diameter_mm=25.0, lens__focus_distance_m=0.6)
    # Slower than it was recorded, so that a busy machine answers too: frames that come meanwhile are dropped by design.
    assert main([*arguments, "--out", str(tmp_path / "live"), "--live", "--rate", "0.4"]) == 0
    assert main([*arguments, "--out", str(tmp_path / "offline")]) == 0
    live, offline = read_report(tmp_path / "live"), read_report(tmp_path / "offline")
    counts = live["timing"]["live"]
    assert counts["sent"] == FRAMES
    assert counts["answered"] == live["answered"] >= FRAMES - 3
    assert counts["dropped"] == FRAMES - counts["answered"]
    assert live["timing"]["stages"]["end_to_end"]["p50_ms"] > 0
    pairs = [(a, b) for a, b in zip(live["per_frame"], offline["per_frame"], strict=True) if a["answered"]]
    for a, b in pairs:
        assert a["defocus"] == b["defocus"]
        # The node multiplies out the lens in another order: one unit in the last place of the depth. A sorted order, as
        # behind AUSE, may change by more.
        tolerance = {name: 1e-3 if name == "ause" else 1e-6 for name in a["depth"]}
        for name, value in a["depth"].items():
            assert value == pytest.approx(b["depth"][name], rel=tolerance[name]), (a["name"], name)
    assert main(["compare", str(tmp_path / "offline"), str(tmp_path / "live"), "--json"]) == 0
    text = capsys.readouterr().out
    compared = json.loads(text[text.rindex('{\n "first"') :])["compared"][0]["differences"]
    assert len(compared) >= 7
    assert max(abs(d["difference"]) for d in compared) < 1e-5
    with BagReader(tmp_path / "live" / "results_live") as answers:
        assert {"/depth/image", "/depth/std", "/deblurred/image", "/defocus/image", "/latency"} <= set(answers.topics)


def test_a_bag_that_the_node_cannot_take_is_refused(start_node, arguments, tmp_path, capsys):
    start_node(input__transport="compressed", lens__aperture_diameter_mm=25.0, lens__focus_distance_m=0.6)
    assert main([*arguments, "--out", str(tmp_path / "live"), "--live"]) == 2
    error = capsys.readouterr().err
    assert "/robot/image_raw of the bag is sensor_msgs/msg/Image" in error
    assert "input.transport: raw" in error


def test_without_the_node_it_says_what_runs(ros_domain_id, arguments, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path / "live"), "--live", "--wait", "0.5"]) == 1
    error = capsys.readouterr().err
    assert "no node /dfd" in error
    assert not (tmp_path / "live").exists(), "nothing is begun before the node is there"
    assert "running: none" in error
    assert error.count("\n") == 1


def test_a_node_that_takes_its_time_from_clock_has_one_while_it_is_waited_for(peer, arguments, tmp_path):
    """evaluate.launch.py starts it with use_sim_time; without, it warned of a /clock that nobody publishes."""
    from rosgraph_msgs.msg import Clock

    times = peer.subscribe("/clock", Clock)
    assert main([*arguments, "--out", str(tmp_path / "live"), "--live", "--wait", "3"]) == 1
    assert {message.clock.sec * 10**9 + message.clock.nanosec for message in times} == {START_NS}


def test_a_second_playing_is_not_mixed_with_the_first(arguments, tmp_path, capsys):
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "report.json").write_text("{}")
    assert main([*arguments, "--out", str(tmp_path / "live"), "--live"]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_the_stamp_is_read_from_the_bytes():
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import Image

    message = Image()
    message.header.stamp.sec, message.header.stamp.nanosec = 1_700_000_000, 123_456_789
    assert stamp_ns_of_bytes(serialize_message(message)) == 1_700_000_000_123_456_789
