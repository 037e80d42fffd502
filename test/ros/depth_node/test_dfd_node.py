# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The node as a black box: real topics, real inference with a tiny network, bad input, services."""

from __future__ import annotations

import shutil
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, PointCloud2
from std_srvs.srv import Trigger

from dfd_perception.core.image_encoding import depth_m_from_image, depth_m_of
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.files.configuration import read_yaml, write_yaml
from dfd_perception.files.model_folder import load_model_folder, sha256_of
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions

LENS = {"lens__aperture_diameter_mm": 25.0, "lens__focus_distance_m": 0.6}
FX = 660.0


def values_of(array: DiagnosticArray) -> dict[str, str]:
    return {v.key: v.value for v in array.status[0].values}


def test_depth_and_deblurred_are_what_the_estimator_says(start_node, peer, tiny_coc_model):
    depths, images = peer.subscribe("depth/image"), peer.subscribe("deblurred/image")
    stds, infos = peer.subscribe("depth/std"), peer.subscribe("depth/camera_info", CameraInfo)
    start_node(**LENS)
    peer.publish_until(lambda: all((depths, images, stds, infos)), "all four topics arrive", fx=FX)
    depth = depths[-1]
    assert (depth.encoding, depth.header.frame_id) == ("32FC1", "camera_optical")
    # The peer draws its images from the number that it puts into the stamp.
    image = np.random.default_rng(depth.header.stamp.sec - 1001).integers(0, 256, (48, 80, 3), np.uint8)
    estimator = DepthEstimator(
        load_model_folder(tiny_coc_model), EstimatorOptions(backend="onnxruntime", depth_max_m=10.0)
    )
    curve = DefocusCurve.from_aperture(FX, 25.0, 0.6)
    expected = estimator.predict(image, curve)
    np.testing.assert_allclose(depth_m_from_image(depth), expected.depth_m, rtol=1e-5)
    last = next(m for m in images if m.header == depth.header)
    assert np.array_equal(np.frombuffer(last.data, np.uint8).reshape(48, 80, 3), expected.deblurred)
    twin = next(i for i in infos if i.header == depth.header)
    assert (twin.k[0], twin.width, twin.height) == (FX, 80, 48)
    std = next(m for m in stds if m.header == depth.header)
    np.testing.assert_allclose(np.frombuffer(std.data, np.float32).reshape(48, 80), expected.depth_std_m, rtol=1e-5)


def test_nobody_subscribed_nothing_runs_and_heads_follow_the_subscribers(start_node, peer, eventually):
    status = peer.subscribe("/diagnostics", DiagnosticArray)
    running = start_node(**LENS)
    peer.publish_until(lambda: status and int(values_of(status[-1])["frames in"]) >= 4, "frames are counted", fx=FX)
    assert values_of(status[-1])["frames out"] == "0"
    assert "backend" not in values_of(status[-1])
    depths = peer.subscribe("depth/image")
    peer.publish_until(lambda: depths, "depth arrives", fx=FX)
    assert running.node.statistics.running["heads"] == "depth"
    peer.subscribe("deblurred/image")
    peer.publish_until(lambda: running.node.statistics.running["heads"] == "both", "both heads run", fx=FX)
    eventually(lambda: values_of(status[-1]).get("backend") == "onnxruntime", "diagnostics name the backend")


def test_depth_that_is_asked_for_and_does_not_come_is_a_warning_of_diagnostics(start_node, peer):
    status = peer.subscribe("/diagnostics", DiagnosticArray)
    depths = peer.subscribe("depth/image")
    peer.wall_clock = True
    start_node(**LENS, depth__min_m=9.0)

    def says(level: bytes, words: str) -> bool:
        return bool(status) and status[-1].status[0].level == level and words in status[-1].status[0].message

    peer.publish_until(lambda: says(DiagnosticStatus.WARN, "no depth: the focal length in pixels is not known"), "why")
    peer.publish_until(lambda: says(DiagnosticStatus.WARN, "no pixel of the last image has depth"), "none", fx=FX)
    assert np.isnan(np.frombuffer(depths[-1].data, np.float32)).all()
    nearer = SetParameters.Request(parameters=[Parameter("depth.min_m", value=0.0).to_parameter_msg()])
    assert peer.call(SetParameters, "/dfd/set_parameters", nearer).results[0].successful
    peer.publish_until(lambda: says(DiagnosticStatus.OK, "active"), "depth is back", fx=FX)


def test_points_colours_defocus_and_bgr(start_node, peer):
    points, colours = peer.subscribe("depth/points", PointCloud2), peer.subscribe("depth/image_color")
    defocus, images = peer.subscribe("defocus/image"), peer.subscribe("deblurred/image")
    start_node(**LENS, depth__encoding="16UC1")
    depths = peer.subscribe("depth/image")
    peer.publish_until(lambda: all((points, colours, defocus, images, depths)), "all arrive", fx=FX, encoding="bgr8")
    cloud = points[-1]
    xyz = np.frombuffer(cloud.data, np.float32).reshape(48, 80, 4)
    assert (cloud.height, cloud.width) == (48, 80)
    # Pixel column 60 is 20 px right of cx 40: x = 20 / fx * z.
    assert xyz[10, 60, 0] == pytest.approx(20 / FX * xyz[10, 60, 2], rel=1e-5)
    assert depths[-1].encoding == "16UC1"
    assert images[-1].encoding == "bgr8"
    assert (colours[-1].encoding, defocus[-1].encoding) == ("rgb8", "32FC1")


def test_without_a_lens_blur_is_published_and_depth_is_explained_once(start_node, peer, eventually, capfd):
    depths, defocus = peer.subscribe("depth/image"), peer.subscribe("defocus/image")
    start_node()
    peer.publish_until(lambda: len(defocus) >= 5, "blur is published")
    assert not depths
    errors = capfd.readouterr().err + capfd.readouterr().out
    assert errors.count("no depth from model tiny_coc") == 1
    assert "lens.focus_distance_m, lens.focal_length_mm, lens.f_number not set" in errors


def test_pixel_pitch_stands_in_for_camera_info_and_the_lens_is_described(start_node, peer, capfd):
    depths = peer.subscribe("depth/image")
    start_node(
        lens__focal_length_mm=35.0, lens__f_number=1.4, lens__focus_distance_m=0.6, lens__pixel_pitch_um=20.0,
        depth__min_m=0.4,
    )  # fmt: skip
    peer.publish_until(lambda: depths, "depth arrives")
    said = capfd.readouterr().err
    # K = 35 mm focused at 0.6 m: s = 37.17 mm; fx = 1858 px; D = 25 mm -> 46.5 px per dioptre.
    assert "blur grows 46.5 px per dioptre" in said
    assert "trained for 3 to 30" in said
    assert "reaches across the focus distance 0.6 m" in said
    assert "0.4 m is taken for 1.20 m" in said
    assert "1 m: +- 0.011 m, 2 m: +- 0.043 m, 5 m: +- 0.269 m" in said


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"encoding": "32FC3"}, "encoding is '32FC3'"),
        ({"step": 10}, "step is 10"),
        ({"height": 0}, "image is 80x0"),
        ({"height": 4000}, "data holds 11520 bytes"),
    ],
)
def test_a_bad_image_is_named_and_the_next_good_one_is_answered(start_node, peer, eventually, changes, says):
    status, depths = peer.subscribe("/diagnostics", DiagnosticArray), peer.subscribe("depth/image")
    start_node(**LENS)
    peer.publish_until(lambda: depths, "depth arrives", fx=FX)
    peer.publish(fx=FX, **changes)
    eventually(lambda: status and says in values_of(status[-1])["last error"], f"diagnostics say {says}")
    assert status[-1].status[0].level == DiagnosticStatus.ERROR
    seen = len(depths)
    peer.publish_until(lambda: len(depths) > seen, "the next one is answered", fx=FX)


def test_size_changes_and_stamps_that_run_backwards(start_node, peer, eventually):
    depths = peer.subscribe("depth/image")
    start_node(**LENS)
    peer.publish_until(lambda: depths, "depth arrives", fx=FX)
    larger = np.zeros((70, 110, 3), np.uint8)
    peer.publish_until(lambda: depths[-1].width == 110, "the new size is answered", image=larger, fx=FX)
    peer.number -= 100
    peer.publish_until(lambda: depths[-1].header.stamp.sec < 1000, "old stamps are answered", fx=FX)


def test_depth_is_published_as_compressed_depth_to_whoever_subscribes(start_node, peer):
    plain = peer.subscribe("depth/image")
    packed = peer.subscribe("depth/image/compressedDepth", CompressedImage)
    start_node(**LENS)
    peer.publish_until(lambda: len(plain) > 2 and len(packed) > 2, "both arrive", fx=FX)
    by_stamp = {(m.header.stamp.sec, m.header.stamp.nanosec): m for m in plain}
    message = next(m for m in packed if (m.header.stamp.sec, m.header.stamp.nanosec) in by_stamp)
    assert message.format == "16UC1; compressedDepth png"
    depth = np.frombuffer(by_stamp[message.header.stamp.sec, message.header.stamp.nanosec].data, np.float32)
    found = depth_m_of(message).ravel()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(depth))
    np.testing.assert_allclose(found, depth, atol=0.00051)


def test_output_size_scales_images_and_their_camera_infos(start_node, peer):
    depths, infos = peer.subscribe("depth/image"), peer.subscribe("deblurred/camera_info", CameraInfo)
    start_node(**LENS, output__size="24x40")
    peer.publish_until(lambda: depths and infos, "depth arrives", fx=FX)
    assert (depths[-1].height, depths[-1].width) == (24, 40)
    assert (infos[-1].height, infos[-1].width, infos[-1].k[0]) == (24, 40, FX / 2)


def test_compressed_input(start_node, peer, eventually):
    import cv2

    depths = peer.subscribe("depth/image")
    start_node(
        input__transport="compressed", lens__focal_length_mm=35.0, lens__f_number=1.4, lens__focus_distance_m=0.6,
        lens__pixel_pitch_um=56.25,
    )  # fmt: skip
    publisher = peer.node.create_publisher(CompressedImage, "image/compressed", 5)
    packed = cv2.imencode(".jpg", np.zeros((48, 80, 3), np.uint8))[1].tobytes()
    deadline = time.monotonic() + 20
    while not depths and time.monotonic() < deadline:
        publisher.publish(CompressedImage(header=peer.header(), format="jpeg", data=packed))
        time.sleep(0.05)
    assert depths


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"lens__focus_distance_m": -1.0}, "lens.focus_distance_m is -1.0; expected 0 or more"),
        ({"lens__focus_distence_m": 1.0}, "lens.focus_distence_m (did you mean lens.focus_distance_m?)"),
        ({"diagnostics": 1.0}, "unknown parameter diagnostics (did you mean diagnostics.period_s"),
        ({"backend": "tflite"}, "backend is 'tflite'; expected one of auto, tensorrt"),
        ({"device": "gpu"}, "device is 'gpu'; expected auto, cpu, cuda or cuda:N"),
        ({"max_age_s": "old"}, "parameter max_age_s is 'old'; expected a number"),
        ({"input__size": "640by480"}, "input.size is '640by480'; expected HEIGHTxWIDTH"),
        ({"depth__min_m": 3.0, "depth__max_m": 2.0}, "depth.min_m and depth.max_m are 3 and 2"),
        ({"model": "no_such_model"}, "model 'no_such_model' not found"),
    ],
)
def test_a_wrong_parameter_fails_configure_by_name_and_the_process_stays_up(start_node, peer, capfd, parameters, says):
    start_node(**parameters)
    assert says in capfd.readouterr().err
    state = peer.call(GetState, "/dfd/get_state", GetState.Request())
    assert state.current_state.label == "unconfigured"


def test_a_backend_that_cannot_run_the_model_fails_configure(start_node, capfd, tiny_coc_model, tmp_path):
    bare = tmp_path / "model"
    shutil.copytree(tiny_coc_model, bare)
    card = read_yaml(bare / "model.yaml")
    del card["onnx"]
    write_yaml(bare / "model.yaml", card)
    start_node(model=bare, backend="onnxruntime")
    said = capfd.readouterr().err
    assert "parameter backend is 'onnxruntime', but" in said
    assert "dfd export" in said


def test_a_whole_number_is_a_number(start_node, peer):
    running = start_node(lens__focus_distance_m=1)
    assert running.node.get_parameter("lens.focus_distance_m").value == 1.0


def test_a_parameter_put_right_configures(start_node, peer):
    start_node(lens__focus_distance_m=-1.0)
    fixed = Parameter("lens.focus_distance_m", value=0.6).to_parameter_msg()
    answer = peer.call(SetParameters, "/dfd/set_parameters", SetParameters.Request(parameters=[fixed]))
    assert answer.results[0].successful
    for transition in (1, 3):
        request = ChangeState.Request()
        request.transition.id = transition
        assert peer.call(ChangeState, "/dfd/change_state", request).success
    state = peer.call(GetState, "/dfd/get_state", GetState.Request())
    assert state.current_state.label == "active"


def test_parameters_describe_themselves_and_refuse_what_cannot_change_now(start_node, peer):
    start_node(**LENS)
    described = peer.call(
        DescribeParameters, "/dfd/describe_parameters", DescribeParameters.Request(names=["depth.max_m", "backend"])
    ).descriptors
    assert "[m]" in described[0].description
    assert described[0].floating_point_range[0].from_value == 0.0
    assert "openvino" in described[1].additional_constraints
    messages = [Parameter("backend", value="openvino"), Parameter("depth.max_m", value=3.0)]
    request = SetParameters.Request(parameters=[p.to_parameter_msg() for p in messages])
    refused, accepted = peer.call(SetParameters, "/dfd/set_parameters", request).results
    assert not refused.successful
    assert "backend takes effect at configure" in refused.reason
    assert accepted.successful


def test_a_depth_limit_changed_while_running_takes_effect(start_node, peer):
    depths = peer.subscribe("depth/image")
    start_node(**LENS)
    peer.publish_until(lambda: depths, "depth arrives", fx=FX)
    assert np.nanmax(depth_m_from_image(depths[-1])) > 0.68
    changed = Parameter("depth.max_m", value=0.68).to_parameter_msg()
    peer.call(SetParameters, "/dfd/set_parameters", SetParameters.Request(parameters=[changed]))
    # The range is a prior of the network too: what it now answers lies within it, or is no depth.
    peer.publish_until(lambda: not (depth_m_from_image(depths[-1]) > 0.68).any(), "nothing lies beyond 0.68 m", fx=FX)


def test_lifecycle_there_and_back(start_node, peer, eventually):
    depths = peer.subscribe("depth/image")
    start_node(**LENS)
    peer.publish_until(lambda: depths, "depth arrives", fx=FX)

    def change(transition: int) -> None:
        request = ChangeState.Request()
        request.transition.id = transition
        assert peer.call(ChangeState, "/dfd/change_state", request).success

    change(4)  # deactivate
    time.sleep(0.2)
    seen = len(depths)
    for _ in range(3):
        peer.publish(fx=FX)
    time.sleep(0.3)
    assert len(depths) == seen
    for transition in (2, 1, 3):  # clean up, configure, activate
        change(transition)
    peer.publish_until(lambda: len(depths) > seen, "depth arrives again", fx=FX)


def test_reload_takes_new_weights_and_refuses_broken_ones_without_a_pause(start_node, peer, tiny_coc_model, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_coc_model, model)
    depths = peer.subscribe("depth/image")
    running = start_node(model=model, **LENS)
    peer.publish_until(lambda: depths, "depth arrives", fx=FX)
    answer = peer.call(Trigger, "/dfd/reload_model", Trigger.Request())
    assert answer.success
    assert "tried on the last frame" in answer.message
    before = running.node.pipeline.estimator
    (model / "model.onnx").write_bytes(b"no graph")
    answer = peer.call(Trigger, "/dfd/reload_model", Trigger.Request())
    assert not answer.success
    assert "its sha256 is" in answer.message
    card = read_yaml(model / "model.yaml")
    card["onnx"]["sha256"] = sha256_of(model / "model.onnx")
    write_yaml(model / "model.yaml", card)
    answer = peer.call(Trigger, "/dfd/reload_model", Trigger.Request())
    assert not answer.success
    assert "keeps running" in answer.message
    assert running.node.pipeline.estimator is before
    seen = len(depths)
    peer.publish_until(lambda: len(depths) > seen, "frames keep coming", fx=FX)


def test_a_model_whose_graph_lacks_an_output_is_refused_at_load_and_at_reload(
    start_node, peer, eventually, tiny_coc_model, tmp_path, capfd
):
    onnx = pytest.importorskip("onnx")
    model = tmp_path / "model"
    shutil.copytree(tiny_coc_model, model)
    status = peer.subscribe("/diagnostics", DiagnosticArray)
    depths = peer.subscribe("depth/image")
    start_node(model=model, **LENS)
    peer.publish_until(lambda: depths, "depth arrives", fx=FX)
    graph_hash = sha256_of(model / "model.onnx")[:12]
    eventually(
        lambda: status and values_of(status[-1]).get("model hash") == graph_hash, "the hash is that of the graph"
    )
    graph = onnx.load(model / "model.onnx")
    del graph.graph.output[1]
    (model / "model.onnx").write_bytes(graph.SerializeToString())
    card = read_yaml(model / "model.yaml")
    card["onnx"]["sha256"] = sha256_of(model / "model.onnx")
    write_yaml(model / "model.yaml", card)
    answer = peer.call(Trigger, "/dfd/reload_model", Trigger.Request())
    assert not answer.success
    assert "has no output coc_log_var" in answer.message
    seen = len(depths)
    peer.publish_until(lambda: len(depths) > seen, "frames keep coming", fx=FX)
    assert values_of(status[-1])["model hash"] == graph_hash
    capfd.readouterr()
    start_node(model=model, **LENS)
    assert "not configured: " in (said := capfd.readouterr().err)
    assert "has no output coc_log_var" in said


def test_an_estimator_that_fails_on_its_first_frame_gives_way_to_the_one_before(start_node, peer, tiny_coc_model):
    depths = peer.subscribe("depth/image")
    running = start_node(**LENS)
    peer.publish_until(lambda: depths, "depth arrives", fx=FX)
    good = running.node.pipeline.estimator
    options = EstimatorOptions(backend="onnxruntime", precision="int8")  # which it does not offer
    broken = DepthEstimator(load_model_folder(tiny_coc_model), options)
    pipeline, worker = running.node.running()
    worker.call(lambda: pipeline.swap(broken))
    seen = len(depths)
    peer.publish_until(lambda: len(depths) > seen, "frames keep coming", fx=FX)
    assert running.node.pipeline.estimator is good


def test_the_node_answers_while_a_network_compiles(start_node, peer, monkeypatch):
    compiling = []
    original = DepthEstimator.compiled

    def slow(self, *arguments, **options):
        if not compiling:
            compiling.append(time.monotonic())
            time.sleep(2.0)
        return original(self, *arguments, **options)

    monkeypatch.setattr(DepthEstimator, "compiled", slow)
    depths = peer.subscribe("depth/image")
    start_node(**LENS)
    peer.publish_until(lambda: compiling, "compilation begins", fx=FX)
    peer.call(GetState, "/dfd/get_state", GetState.Request())
    assert time.monotonic() - compiling[0] < 1.5
    peer.publish_until(lambda: depths, "depth arrives", fx=FX)


def test_snapshot(start_node, peer, tmp_path):
    import cv2

    depths = peer.subscribe("depth/image")
    start_node(snapshot_dir=str(tmp_path), **LENS)
    answer = peer.call(Trigger, "/dfd/save_snapshot", Trigger.Request())
    assert not answer.success
    assert "no frame" in answer.message
    peer.publish_until(lambda: depths, "depth arrives", fx=FX)
    answer = peer.call(Trigger, "/dfd/save_snapshot", Trigger.Request())
    assert answer.success, answer.message
    folder = next(tmp_path.iterdir())
    assert answer.message == str(folder)
    assert {p.name for p in folder.iterdir()} == {
        "input.png", "deblurred.png", "depth.png", "defocus.npy", "frame.json",
    }  # fmt: skip
    assert cv2.imread(str(folder / "depth.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_old_frames_are_dropped(start_node, peer, eventually):
    status, depths = peer.subscribe("/diagnostics", DiagnosticArray), peer.subscribe("depth/image")
    start_node(max_age_s=1.0, **LENS)
    peer.publish_until(
        lambda: status and values_of(status[-1])["frames dropped (too old)"] != "0", "the old frame is counted", fx=FX
    )
    assert not depths


def test_camera_info_that_does_not_fit_is_said_and_not_used(start_node, peer, eventually, stderr_log):
    defocus, depths = peer.subscribe("defocus/image"), peer.subscribe("depth/image")
    info = peer.node.create_publisher(CameraInfo, "camera_info", 5)
    other = CameraInfo(height=480, width=640, k=[500.0, 0.0, 1.0, 0.0, 500.0, 1.0, 0.0, 0.0, 1.0])
    with stderr_log() as logged:
        start_node(**LENS)
        eventually(lambda: info.get_subscription_count(), "the node listens")

        def refused() -> bool:
            other.header = peer.header()
            info.publish(other)
            return "camera_info is for 640x480 pixels, the image has 80x48" in logged()

        peer.publish_until(refused, "the misfit is logged")
    peer.publish_until(lambda: defocus, "blur arrives")
    assert not depths


def test_incompatible_qos_names_topic_and_policy(start_node, peer, eventually, stderr_log):
    demanding = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    with stderr_log() as logged:
        start_node(**LENS)
        peer.subscribe("depth/image", qos=demanding)
        eventually(lambda: "incompatible QoS on /depth/image" in logged(), "a warning names /depth/image")
        assert "durability" in logged()


def test_qos_overrides_and_best_effort_subscribers(start_node, peer, eventually):
    depths = peer.subscribe("depth/image", qos=qos_profile_sensor_data)
    running = start_node(**LENS, **{"qos_overrides./depth/image.publisher.depth": 7})
    peer.publish_until(lambda: depths, "depth arrives", fx=FX)
    assert running.node.get_parameter("qos_overrides./depth/image.publisher.depth").value == 7
    offered = peer.node.get_publishers_info_by_topic("/depth/image")[0].qos_profile
    assert offered.reliability.name == "RELIABLE"


def test_a_depth_model_runs_without_lens_and_refuses_another_lens(start_node, peer, tiny_depth_model, capfd):
    depths = peer.subscribe("depth/image")
    start_node(model=tiny_depth_model)
    peer.publish_until(lambda: depths, "depth arrives")
    start_node(model=tiny_depth_model, lens__f_number=8.0)
    said = capfd.readouterr().err
    assert "lens.f_number is 8, the model was trained with 1.4" in said


def test_two_nodes_of_one_name_are_reported(start_node, peer, eventually):
    status = peer.subscribe("/diagnostics", DiagnosticArray)
    start_node(**LENS)
    start_node(**LENS)
    depths = peer.subscribe("depth/image")

    def warned() -> bool:
        return bool(depths) and any("2 nodes are named /dfd" in s.status[0].message for s in status)

    peer.publish_until(warned, "the double name is a warning", fx=FX)


def test_silence_is_reported(start_node, peer, eventually):
    status = peer.subscribe("/diagnostics", DiagnosticArray)
    start_node(**LENS)
    eventually(lambda: status and status[-1].status[0].level == DiagnosticStatus.WARN, "silence is a warning")
    assert "no image yet: nobody publishes /image" in status[-1].status[0].message
