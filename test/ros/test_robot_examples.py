# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The examples for Nav2, depthimage_to_laserscan and MoveIt: topics, types, QoS and parameters are those of the node.

Nav2 subscribes with sensor-data QoS and a depth of 50 (ObstacleLayer::onInitialize), depthimage_to_laserscan with the
system's default (DepthImageToLaserScanROS); neither is installed here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from dfd_perception.files.configuration import read_yaml

LENS = {"lens__aperture_diameter_mm": 25.0, "lens__focus_distance_m": 0.6}


def flat(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A YAML section as keyword arguments of start_node: depth: {max_m: 3.0} is depth__max_m=3.0."""
    values: dict[str, Any] = {}
    for name, value in section.items():
        values |= flat(value, f"{prefix}{name}__") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return values


def stamp(message: Any) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec


@pytest.fixture
def examples(project_root: Path) -> dict[str, Any]:
    config = project_root / "config"
    costmap = read_yaml(config / "nav2" / "costmap.yaml")["/**"]["ros__parameters"]
    return {
        "depth": read_yaml(config / "nav2" / "depth.yaml")["/**"]["ros__parameters"],
        "costmap": costmap["voxel_layer"],
        "inflation_m": costmap["inflation_layer"]["inflation_radius"],
        "laserscan": read_yaml(config / "laserscan.yaml"),
        "moveit": read_yaml(config / "moveit" / "sensors_3d.yaml")["depth_from_defocus"],
    }


def test_a_costmap_gets_the_points_without_the_uncertain_ones(start_node, peer, examples) -> None:
    from rclpy.qos import QoSProfile, QoSReliabilityPolicy
    from sensor_msgs.msg import PointCloud2

    topic = examples["costmap"]["depth_from_defocus"]["topic"]
    as_nav2 = QoSProfile(depth=50, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    clouds = peer.subscribe(topic, PointCloud2, as_nav2)
    depths, stds = peer.subscribe("depth/image"), peer.subscribe("depth/std")
    start_node(**flat(examples["depth"]), **LENS)
    peer.publish_until(lambda: clouds and depths and stds, "points, depth and its deviation arrive", fx=600.0)
    std_of = {stamp(message): message for message in stds}
    depth = next(message for message in reversed(depths) if stamp(message) in std_of)
    depth_m, std_m = (np.frombuffer(bytes(m.data), "<f4") for m in (depth, std_of[stamp(depth)]))
    valid = np.isfinite(depth_m)
    assert (std_m[valid] <= examples["depth"]["depth"]["max_rel_std"] * depth_m[valid] * 1.001).all()
    cloud = clouds[-1]
    assert (cloud.height, cloud.width) == (240, 320)
    z = np.frombuffer(bytes(cloud.data), "<f4").reshape(-1, cloud.point_step // 4)[:, 2]
    limits = examples["depth"]["depth"]
    seen = z[np.isfinite(z)]
    assert ((seen >= limits["min_m"] - 1e-4) & (seen <= limits["max_m"] + 1e-4)).all()
    offered = peer.node.get_publishers_info_by_topic(topic)
    assert [info.topic_type for info in offered] == ["sensor_msgs/msg/PointCloud2"]
    assert offered[0].qos_profile.reliability == QoSReliabilityPolicy.RELIABLE


def test_a_laser_scan_gets_depth_and_its_camera_info(start_node, peer, examples) -> None:
    from rclpy.qos import qos_profile_system_default
    from sensor_msgs.msg import CameraInfo, Image

    depths = peer.subscribe("depth/image", Image, qos_profile_system_default)
    infos = peer.subscribe("depth/camera_info", CameraInfo, qos_profile_system_default)
    start_node(**flat(examples["laserscan"]["/**/dfd"]["ros__parameters"]), **LENS)
    peer.publish_until(lambda: depths and infos, "depth and camera_info arrive", fx=600.0)
    assert depths[-1].encoding in ("32FC1", "16UC1")  # what depthimage_to_laserscan takes
    assert {stamp(message) for message in depths} & {stamp(message) for message in infos}
    scan = examples["laserscan"]["/**/depthimage_to_laserscan"]["ros__parameters"]
    assert set(scan) == {"scan_time", "range_min", "range_max", "scan_height", "output_frame"}


@pytest.mark.parametrize("name", ["depth", "laserscan"])
def test_the_shipped_weights_leave_near_and_better_pixels_of_the_demo(examples, project_root: Path, name: str) -> None:
    """A default that leaves no point shows nobody how it works, and one that leaves bad ones is no caution."""
    import dfd_perception as dfd
    from dfd_perception.bags.reader import BagReader
    from dfd_perception.core.image_encoding import rgb_from_compressed

    pytest.importorskip("onnxruntime", reason="no onnxruntime in this environment")
    section = examples[name] if name == "depth" else examples[name]["/**/dfd"]["ros__parameters"]
    demo = project_root / "demo"
    with BagReader(demo / "scene_bag") as bag:
        images = [m.message for m in bag.messages(["/camera/image/compressed"])]
        truths = {stamp(m.message): m.message for m in bag.messages(["/truth/depth"])}
    errors, kept = [], []
    with dfd.load("2hded-small", lens=demo / "lens.yaml", fx_px=525.0, backend="onnxruntime") as meter:
        for image in (images[0], images[-1]):  # one of each scene
            truth = truths[stamp(image)]
            true_m = np.frombuffer(bytes(truth.data), "<u2").reshape(truth.height, truth.width) * 1e-3
            result = meter(rgb_from_compressed(image.data, image.format))
            assert result.depth_m is not None
            assert result.std_m is not None
            errors.append((np.abs(result.depth_m - true_m) / np.where(true_m > 0, true_m, np.nan)).ravel())
            kept.append((result.std_m <= section["depth"]["max_rel_std"] * result.depth_m).ravel())
    error, left = np.concatenate(errors), np.concatenate(kept)
    assert left.mean() > 0.05
    assert np.nanmean(error[left]) < 0.8 * np.nanmean(error)


def test_the_transform_that_the_page_prints_looks_ahead(project_root: Path) -> None:
    """Rz(yaw) Ry(pitch) Rx(roll) as tf2's setRPY: the optical frame (REP 103) with z forward, x right, y down."""
    text = (project_root / "docs" / "nav2.md").read_text("utf-8")
    line = next(line for line in text.splitlines() if "--roll" in line)
    angle = {name: float(value) for name, value in re.findall(r"--(roll|pitch|yaw) (-?[\d.]+)", line)}
    roll, pitch, yaw = (angle.get(name, 0.0) for name in ("roll", "pitch", "yaw"))
    rx = np.array([[1, 0, 0], [0, np.cos(roll), -np.sin(roll)], [0, np.sin(roll), np.cos(roll)]])
    ry = np.array([[np.cos(pitch), 0, np.sin(pitch)], [0, 1, 0], [-np.sin(pitch), 0, np.cos(pitch)]])
    rz = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    right_down_forward_in_base = (rz @ ry @ rx).T
    assert right_down_forward_in_base == pytest.approx(np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]]), abs=1e-4)


def test_a_lifecycle_manager_brings_the_node_up_and_down(start_node, peer) -> None:
    """docs/nav2.md: autostart false, and the transitions that Nav2's lifecycle manager asks for, each looked up after.

    LifecycleManager (nav2_lifecycle_manager): configure and activate at its start; deactivate, cleanup and shutdown at
    its end, by change_state and get_state.
    """
    from lifecycle_msgs.msg import State, Transition
    from lifecycle_msgs.srv import ChangeState, GetState
    from sensor_msgs.msg import PointCloud2

    def state() -> int:
        return peer.call(GetState, "/dfd/get_state", GetState.Request()).current_state.id

    def to(transition: int) -> int:
        request = ChangeState.Request(transition=Transition(id=transition))
        assert peer.call(ChangeState, "/dfd/change_state", request).success
        return state()

    clouds = peer.subscribe("depth/points", PointCloud2)
    start_node(autostart=False, **LENS)
    assert state() == State.PRIMARY_STATE_UNCONFIGURED
    assert to(Transition.TRANSITION_CONFIGURE) == State.PRIMARY_STATE_INACTIVE
    assert to(Transition.TRANSITION_ACTIVATE) == State.PRIMARY_STATE_ACTIVE
    peer.publish_until(lambda: clouds, "points arrive", fx=600.0)
    assert clouds[-1].header.frame_id == "camera_optical"  # the frame that the images name
    assert to(Transition.TRANSITION_DEACTIVATE) == State.PRIMARY_STATE_INACTIVE
    assert to(Transition.TRANSITION_CLEANUP) == State.PRIMARY_STATE_UNCONFIGURED
    assert to(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN) == State.PRIMARY_STATE_FINALIZED


def test_the_ranges_of_the_examples_fit_each_other(examples) -> None:
    depth, source = examples["depth"]["depth"], examples["costmap"]["depth_from_defocus"]
    assert depth["min_m"] <= source["obstacle_min_range"] < source["obstacle_max_range"]
    assert source["obstacle_max_range"] < source["raytrace_max_range"] <= depth["max_m"]
    assert examples["costmap"]["z_voxels"] <= 16
    top_m = examples["costmap"]["z_voxels"] * examples["costmap"]["z_resolution"]
    assert source["max_obstacle_height"] <= examples["costmap"]["max_obstacle_height"] <= top_m
    assert examples["moveit"]["point_cloud_topic"] == source["topic"]
    assert examples["moveit"]["max_range"] <= depth["max_m"]
    assert examples["inflation_m"] > depth["max_rel_std"] * source["obstacle_max_range"]


@pytest.mark.parametrize("page", ["nav2.md", "laserscan.md", "moveit.md"])
def test_every_file_that_a_page_names_is_there(project_root: Path, page: str) -> None:
    text = (project_root / "docs" / page).read_text("utf-8")
    named = re.findall(r"(?<![\w/])((?:config|launch)/[\w./]+\.(?:yaml|py))", text)
    assert named
    assert all((project_root / name).is_file() for name in named)
