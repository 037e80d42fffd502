# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""ground_truth_recorder as a process, fed by another process, asked by a third."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Quaternion, TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Trigger

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.distortion import DistortedCamera
from dfd_perception.core.registration import RigidTransform
from dfd_perception.groundtruth.rig.rig_calibration import RigCalibration
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration
from dfd_perception.groundtruth.session import RAW, SessionDescription
from dfd_perception.groundtruth.session_index import read_index, rebuild_index
from dfd_perception.groundtruth.session_registration import SessionRegistration

SUPPORT = Path(__file__).parents[2] / "support"
RECORDER = "dfd_perception.ros.recorder_node.recorder_node"
PUBLISHER = SUPPORT / "rgbd_publisher.py"
WAIT_S = 30.0


class Robot:
    """The test's own node: calls the services, listens to diagnostics."""

    def __init__(self, domain_id: int) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node("robot", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.statuses: list = []
        self.clients = {
            name: self.node.create_client(Trigger, f"/ground_truth_recorder/{name}")
            for name in ("start", "stop", "capture")
        }
        self.node.create_subscription(
            DiagnosticArray, "/diagnostics", lambda message: self.statuses.append(message.status[0]), 10
        )

    def call(self, service: str, timeout_s: float = WAIT_S) -> Trigger.Response:
        client = self.clients[service]
        if not client.service_is_ready():
            assert client.wait_for_service(timeout_s), "the recorder is not there"
            time.sleep(0.5)  # that this client knows the recorder does not mean the reverse yet
        future = client.call_async(Trigger.Request())
        self.executor.spin_until_future_complete(future, timeout_s)
        assert future.done(), f"{service} does not answer"
        return future.result()

    def call_until_success(self, service: str) -> Trigger.Response:
        end = time.monotonic() + WAIT_S
        while not (answer := self.call(service)).success:
            assert time.monotonic() < end, answer.message
            time.sleep(0.2)
        return answer

    def wait_status(self, words: str):
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.2)
            if self.statuses and words in self.statuses[-1].message:
                return self.statuses[-1]
        raise AssertionError(f"no {words!r}; last: {self.statuses[-1].message if self.statuses else 'nothing'}")

    def publish_static_transform(self, message: TransformStamped) -> None:
        latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self.node.create_publisher(TransformStamped, "/tf_static", latched).publish(message)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def robot(ros_domain_id):
    robot = Robot(ros_domain_id)
    yield robot
    robot.close()


@pytest.fixture
def start(ros_environment, tmp_path):
    """Start processes that end with the test."""
    processes = []

    def start(*command: object, **options) -> subprocess.Popen:
        arguments = [sys.executable, *map(str, command)]
        process = subprocess.Popen(arguments, env=ros_environment, text=True, stdout=subprocess.PIPE, **options)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            # Killed, it would leave its shared memory behind, 64 MiB each.
            process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@pytest.fixture
def recorder(start, tmp_path):
    def start_recorder(**parameters: object) -> subprocess.Popen:
        parameters = {"session.dir": tmp_path, "session.name": "session", "least_free_mb": 1.0} | parameters
        options = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
        return start("-m", RECORDER, "--ros-args", *options, stderr=subprocess.STDOUT)

    return start_recorder


def wait_for_counts(session: Path) -> dict:
    """The counts of a session that ends by itself."""
    end = time.monotonic() + WAIT_S
    while not (session / RAW / "session.json").exists() or not SessionDescription.read(session).counts:
        assert time.monotonic() < end
        time.sleep(0.1)
    return SessionDescription.read(session).counts


def wait_for_files(folder: Path, count: int) -> None:
    end = time.monotonic() + 3 * WAIT_S
    while not folder.exists() or len(list(folder.iterdir())) < count:
        assert time.monotonic() < end, f"{folder} has not {count} files"
        time.sleep(0.1)


def test_live_topics_are_recorded_without_silent_loss(robot, recorder, start, tmp_path):
    process = recorder(lossless="false", record_at_start="true")
    publisher = start(PUBLISHER, 45, 15, 320, 240)
    assert int(publisher.communicate(timeout=60)[0]) == 45
    stopped = robot.call("stop")
    assert stopped.success
    session = tmp_path / "session"
    description = SessionDescription.read(session)
    assert description.parts == ("depth", "image", "colour")
    counts = description.counts
    rows = read_index(session / RAW / "frames.csv")
    assert counts["moments"] == len(rows) == counts["pairs"]
    assert counts["dropped"] == counts["failed"] == 0
    # A busy machine may lose messages before they arrive; not one may be missing from the count.
    lost = counts["image_gaps"] + counts["depth_gaps"]
    assert len(rows) + lost >= 38
    unmatched = counts["left_unmatched"] + counts["right_unmatched"]
    assert len(rows) + lost + unmatched >= 43, "45 were sent, and the session began during the first ones"
    assert unmatched <= lost + 2, "but for the frame in which the session began"
    assert all(row.offset_ms == pytest.approx(4.0, abs=1e-3) for row in rows)
    assert rows[0].valid_fraction == pytest.approx(1 - 20 / 288, abs=1e-3)
    numbers = [np.rint(cv2.imread(str(p))[:6, :6].mean()) for p in sorted((session / RAW / "image").iterdir())]
    assert np.all(np.abs(np.diff(numbers) - 1) <= 1 + lost)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0


@pytest.mark.fault
def test_killed_recorder_leaves_a_session_that_can_be_rebuilt(robot, recorder, start, tmp_path):
    process = recorder(record_colour="false", record_at_start="true")
    start(PUBLISHER, 0, 15, 320, 240, "float")
    session = tmp_path / "session" / RAW
    end = time.monotonic() + WAIT_S
    while len(list(session.glob("image/*.png"))) < 20:
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    rebuilt = rebuild_index(session, ("depth", "image"))
    assert len(rebuilt.rows) >= 19
    assert rebuilt.lost <= 2
    depth = cv2.imread(str(session / "depth" / f"{rebuilt.rows[0].stem}.png"), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(depth)) == {0, 1500}


@pytest.mark.fault
def test_hostile_messages_cost_themselves_alone(robot, recorder, start, tmp_path):
    """200 of them on both topics, some stamped an hour or 40 years ahead: recording goes on with what follows."""
    process = recorder(record_colour="false", record_at_start="true", lossless="false")
    publishers = {topic: robot.node.create_publisher(Image, topic, 10) for topic in ("image", "depth/image")}
    start(PUBLISHER, 0, 15, 320, 240, "float")
    raw = tmp_path / "session" / RAW
    rng = np.random.default_rng(0)
    wait_for_files(raw / "depth", 1)
    for number in range(200):
        message = Image(height=119, width=214, step=428, encoding="16UC1", data=bytes(119 * 428))
        message.header.frame_id = "camera"
        message.header.stamp.sec = [int(time.time()) + 3600, 2**31 - 1, 0, int(time.time())][number % 4]
        message.encoding = ["16UC1", "", "nonsense", "x" * 10_000, "rgb8"][number % 5]
        message.width = int(rng.choice([214, 0, 2**31]))
        publishers[str(rng.choice(list(publishers)))].publish(message)
        time.sleep(0.01)
    # Counted up to a number, not over a time: how many of 15 pairs a second arrive is the machine's matter.
    wait_for_files(raw / "depth", len(list((raw / "depth").iterdir())) + 60)
    assert robot.call("stop").success
    rows = read_index(raw / "frames.csv")
    sizes = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape for path in (raw / "depth").iterdir()]
    print(f"200 hostile messages: {len(rows)} moments, {sizes.count((288, 320))} of the right size")
    assert sizes.count((288, 320)) >= 60
    assert len(sizes) - sizes.count((288, 320)) <= 40, "only images that agree with themselves and with a stamp"
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=20)[0]
    assert process.returncode == 0
    assert "Traceback" not in said
    assert len(said.splitlines()) < 80


def test_real_recording_is_played_into_a_session(robot, recorder, shared_data, tmp_path):
    path = shared_data / "kinect" / "recording.mkv"
    recorder(source="recording", recording=path, **{"input.transport": "none"})
    robot.call_until_success("start")
    assert wait_for_counts(tmp_path / "session")["moments"] == 1


def test_static_pair_is_taken_in_two_calls(robot, recorder, start, tmp_path):
    recorder(record_colour="false", **{"capture.frames": 5})
    start(PUBLISHER, 0, 15, 320, 240, "float")
    first = robot.call_until_success("capture")
    assert "Open the aperture" in first.message
    done = robot.call_until_success("capture")
    assert "static pair 1" in done.message
    robot.call("stop")
    static = tmp_path / "session_static"
    assert SessionDescription.read(static).parts == ("depth", "image", "aif")
    row = read_index(static / RAW / "frames.csv")[0]
    depth = cv2.imread(str(static / RAW / "depth" / f"{row.stem}.png"), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(depth)) == {0, 1500}


@pytest.mark.fault
def test_trouble_is_told(robot, recorder):
    recorder(source="azure_kinect", retry_s=0.5)
    answer = robot.call("start")
    assert not answer.success
    assert "has not answered yet" in answer.message
    status = robot.wait_status("pyk4a")
    assert "requirements/kinect.txt" in status.message
    assert int({pair.key: pair.value for pair in status.values}["sensor tries"]) >= 1
    assert robot.call("stop").message == "nothing was being recorded"


def test_shipped_parameters_are_taken(robot, start, project_root):
    config = project_root / "config" / "recorder.yaml"
    start("-m", RECORDER, "--ros-args", "--params-file", config, stderr=subprocess.STDOUT)
    robot.wait_status("requirements/kinect.txt")  # configured, active, and looking for its Azure Kinect


@pytest.mark.fault
def test_full_disk_stops_the_session_and_not_the_node(robot, recorder, start, tmp_path):
    recorder(record_colour="false", least_free_mb=1e9)
    start(PUBLISHER, 0, 15, 320, 240, "float")
    robot.call_until_success("start")
    status = robot.wait_status("are free")
    assert "recording has stopped" in status.message
    assert wait_for_counts(tmp_path / "session")["moments"] == 0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"source": "recording"}, "set parameter recording"),
        ({"calibration": "/nonexistent.yaml"}, "nonexistent.yaml"),
        ({"kinect.frames_per_second": 20}, "expected 5, 15 or 30"),
        ({"camera.extrinsic_from_tf": "true", "input.transport": "none"}, "set input.transport to raw or compressed"),
    ],
)
def test_wrong_parameters_are_named(recorder, parameters, words):
    process = recorder(**parameters)
    said = next(line for line in process.stdout if "not configured" in line)
    assert words in said


def use_tf2(environment, folder):
    """Let child processes import the tf2_ros of this folder."""
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), environment.get("PYTHONPATH", "")])


def test_transform_of_tf_is_recorded_and_registers_as_that_of_a_file(robot, recorder, start, ros_environment, tmp_path):
    use_tf2(ros_environment, SUPPORT / "fake_tf2")
    recorder(record_colour="false", **{"camera.extrinsic_from_tf": "true"})
    start(PUBLISHER, 0, 15, 320, 240, "float", "info")
    missing = "no transform from 'kinect' to 'camera' on TF yet"
    robot.wait_status(missing)
    assert missing in robot.call("start").message
    turned = TransformStamped(child_frame_id="kinect")  # by 90 degrees about the optical axis, 0.1 m farther back
    turned.header.frame_id = "camera"
    turned.transform.rotation = Quaternion(z=0.5**0.5, w=0.5**0.5)
    turned.transform.translation.z = 0.1
    robot.publish_static_transform(turned)
    robot.call_until_success("start")
    session = tmp_path / "session"
    end = time.monotonic() + WAIT_S
    while len(list(session.glob("raw/image/*.png"))) < 3:
        assert time.monotonic() < end
        time.sleep(0.05)
    robot.call("stop")

    rig = RigCalibration.read(session / RAW / "calibration.yaml")
    expected = RigidTransform(np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([0, 0, 0.1]))
    np.testing.assert_allclose(rig.camera_from_depth.rotation, expected.rotation, atol=1e-12)
    np.testing.assert_allclose(rig.camera_from_depth.translation_m, expected.translation_m, atol=1e-12)
    assert rig.camera.size == (240, 320)
    assert rig.camera.intrinsics.fx == pytest.approx(0.9 * 320)
    assert rig.quality == {"T_camera_kinect": "TF, from 'kinect' to 'camera'", "T_camera_kinect_is_static": True}

    by_file = tmp_path / "by_file"
    shutil.copytree(session, by_file)
    file = tmp_path / "calibration.yaml"
    file.write_text(RigCalibration(sensor=rig.sensor, camera=rig.camera, camera_from_depth=expected).text())
    registered = SessionRegistration(session).run()
    assert len(registered.rows) >= 3
    assert SessionRegistration(by_file, rig=RigCalibration.read(file)).run().rows == registered.rows
    name = f"depth/{registered.rows[0].stem}.png"
    depth_mm, of_file_mm = (cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED) for folder in (session, by_file))
    np.testing.assert_array_equal(depth_mm, of_file_mm)
    # The wall at 1.5 m is 1.6 m away. The sensor's upper rows, without depth, lie at the right of the camera's image.
    assert set(np.unique(depth_mm)) == {0, 1600}
    seen = np.flatnonzero((depth_mm > 0).all(axis=0))
    scale = 1.5 / 1.6
    assert seen[0] == pytest.approx(159.5 - 143.5 * scale, abs=2)
    assert seen[-1] == pytest.approx(159.5 + 123.5 * scale, abs=2)


def test_calibration_and_tf_contradict_each_other(recorder, ros_environment, tmp_path):
    use_tf2(ros_environment, SUPPORT / "fake_tf2")
    camera = DistortedCamera(intrinsics=CameraIntrinsics(width=64, height=48, fx=60.0, fy=60.0, cx=32.0, cy=24.0))
    identity = RigidTransform.identity()
    rig = RigCalibration(sensor=RgbdCalibration(camera, None, identity), camera=camera, camera_from_depth=identity)
    (tmp_path / "calibration.yaml").write_text(rig.text())
    process = recorder(calibration=tmp_path / "calibration.yaml", **{"camera.extrinsic_from_tf": "true"})
    said = next(line for line in process.stdout if "not configured" in line)
    assert "has a T_camera_kinect of its own" in said


def test_node_without_tf2_stays_up_and_says_how_to_get_it(robot, recorder, ros_environment, tmp_path):
    (tmp_path / "tf2_ros.py").write_text("raise ImportError('no tf2 here')")
    use_tf2(ros_environment, tmp_path)
    process = recorder(**{"camera.extrinsic_from_tf": "true"})
    said = next(line for line in process.stdout if "not configured" in line)
    assert "no tf2 here" in said
    assert "ros-$ROS_DISTRO-tf2-ros-py" in said
    assert robot.call("start").message == "the node is not active"


def test_compressed_topics_that_are_registered_already_need_no_board(robot, recorder, start, tmp_path):
    recorder(
        record_at_start="true",
        **{"input.transport": "compressed", "sensor.transport": "compressed", "camera.depth_is_registered": "true"},
    )
    publisher = start(PUBLISHER, 30, 10, 320, 240, "packed", "registered", "info")
    publisher.communicate(timeout=90)
    assert robot.call("stop").success
    session = tmp_path / "session"
    description = SessionDescription.read(session)
    assert description.counts["moments"] > 3
    registered = SessionRegistration(session).run()
    depth_mm = cv2.imread(str(session / f"depth/{registered.rows[0].stem}.png"), cv2.IMREAD_UNCHANGED)
    assert depth_mm.shape == (240, 320)
    assert np.abs(depth_mm[40:200, 20:300].astype(int) - 1500).max() <= 1
    assert not depth_mm[:18].any()


def test_what_nobody_publishes_and_what_is_there_instead_is_said(robot, recorder, start, tmp_path):
    recorder(**{"record_at_start": "true"})
    start(PUBLISHER, 0, 5, 320, 240, "packed")
    node = robot.node
    for topic, kind in (("image", Image), ("depth/image", Image)):
        node.create_subscription(kind, topic, lambda message: None, 1)
    for topic in ("image/compressed", "depth/image/compressedDepth", "colour/image/compressed"):
        node.create_subscription(CompressedImage, topic, lambda message: None, 1)
    for topic in ("depth/camera_info", "colour/camera_info"):
        node.create_subscription(CameraInfo, topic, lambda message: None, 1)
    said = robot.wait_status("/depth/image/compressedDepth is published").message
    assert "nothing on /image yet: nobody publishes, but /image/compressed is published: set input.transport" in said
