# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A bag in, a report out: the same twice, the same as plain numpy, in flat memory, and of every kind of bad bag."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import jsonschema
import numpy as np
import pytest

from dfd_perception.bags.reader import BagMessage, BagReader
from dfd_perception.cli.__main__ import main
from dfd_perception.core.image_bytes import png_bytes
from dfd_perception.core.image_encoding import COMPRESSED_IMAGE_TYPE
from dfd_perception.errors import ImageError
from dfd_perception.evaluation import worker
from dfd_perception.evaluation.report.report_json import read_report, schema
from dfd_perception.evaluation.run import evaluate
from dfd_perception.evaluation.sources.bag_options import BagOptions
from dfd_perception.evaluation.sources.bag_truth import depth_m_of
from dfd_perception.inference.estimator import DepthEstimator


def repeatable(report):
    return json.dumps({key: value for key, value in report.items() if key not in ("timing", "run")}, sort_keys=True)


def independent_figures(bag_path, answers_path):
    """Plain numpy over the raw messages: nothing of dfd_perception.evaluation or .metrics."""
    with BagReader(bag_path) as bag:
        truth = [m.message for m in bag.messages(["/truth/depth"])]
        sharp = [m.message for m in bag.messages(["/truth/aif"])]
        stamps = [m.message.header.stamp for m in bag.messages(["/camera/image"])]
    with BagReader(answers_path) as bag:
        depth = [m.message for m in bag.messages(["/depth/image"])]
        deblurred = [m.message for m in bag.messages(["/deblurred/image"])]
    time_of = lambda s: s.sec * 10**9 + s.nanosec  # noqa: E731
    predicted, true, squares = [], [], []
    for i, stamp in enumerate(stamps):
        squares.append((deblurred[i].data.astype(float) - sharp[i].data) ** 2)
        near = [t for t in truth if abs(time_of(t.header.stamp) - time_of(stamp)) <= 20e6]
        if not near:
            continue
        p = np.frombuffer(depth[i].data, np.float32).astype(float)
        t = np.frombuffer(near[0].data, np.uint16).astype(np.float32) * np.float32(1e-3)
        use = (t >= 0.5) & np.isfinite(p)  # beyond the lens' focus distance, where it stands for the scene
        predicted.append(p[use])
        true.append(t[use].astype(float))
    p, t = np.concatenate(predicted), np.concatenate(true)
    return {
        "rmse_m": np.sqrt(np.mean((p - t) ** 2)),
        "abs_rel": np.mean(np.abs(p - t) / t),
        "delta1": np.mean(np.maximum(p / t, t / p) < 1.25),
        "mae_m": np.mean(np.abs(p - t)),
        "pixels": t.size,
        "mean_abs_rel": np.mean([np.mean(np.abs(a - b) / b) for a, b in zip(predicted, true, strict=True)]),
        "psnr_db": 10 * np.log10(255**2 / np.mean(squares)),
    }


def test_the_same_twice_and_the_same_as_plain_numpy(make_bag, plan_for):
    bag = make_bag(frames=7, without=(3,))
    first = evaluate(plan_for(bag, out="first", write_bag=True))
    second = evaluate(plan_for(bag, out="second"))
    assert repeatable(first) == repeatable(second)
    jsonschema.validate(first, schema())
    expected = independent_figures(bag, plan_for(bag, out="first").out / "results_bag")
    depth = first["depth"]
    for name in ("rmse_m", "abs_rel", "delta1", "mae_m", "pixels"):
        assert depth[name] == pytest.approx(expected[name], rel=1e-9), name
    assert depth["mean_of_images"]["abs_rel"] == pytest.approx(expected["mean_abs_rel"], rel=1e-9)
    assert first["deblurred"]["psnr_db"] == pytest.approx(expected["psnr_db"], rel=1e-9)
    assert first["frames"] == 7
    counts = first["data"]["sources"][0]["pairing"]["/truth/depth"]
    assert counts == {"pairs": 6, "pictures_unmatched": 1, "truth_unmatched": 0}


def test_an_interrupted_run_goes_on_and_ends_the_same(make_bag, plan_for, monkeypatch):
    bag = make_bag(frames=6)
    whole = evaluate(plan_for(bag, out="whole"))
    plan = plan_for(bag, out="interrupted")
    score, calls = worker.score_frame, []

    def fail_at_the_fourth(*args, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return score(*args, **kwargs)

    monkeypatch.setattr(worker, "score_frame", fail_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        evaluate(plan)
    rows = plan.out / "rows" / "0-of-1.jsonl"
    with rows.open("a") as file:
        file.write('{"variant":"model","unit":"bag","ind')  # killed while writing
    calls.clear()
    monkeypatch.setattr(worker, "score_frame", lambda *a, **k: (calls.append(1), score(*a, **k))[1])
    assert repeatable(evaluate(plan)) == repeatable(whole)
    assert len(calls) == 3


def test_bag_and_model_are_opened_once_for_all_stages(make_bag, plan_for, monkeypatch):
    opened = []
    for kind in (BagReader, DepthEstimator):

        def counted(self, *args, kind=kind, begin=kind.__init__, **named):
            opened.append(kind.__name__)
            begin(self, *args, **named)

        monkeypatch.setattr(kind, "__init__", counted)
    # Scoring, the constant baseline and the images of the report all read frames.
    report = evaluate(plan_for(make_bag(), baselines=("constant",)))
    assert report["baselines"]["constant"]["depth"] is not None
    assert sorted(opened) == ["BagReader", "DepthEstimator"]


def test_more_bags_than_stay_open_give_the_same_report(make_bag, plan_for, monkeypatch):
    bags = [make_bag(f"bag{i}", frames=2) for i in range(3)]
    kept = evaluate(plan_for(*bags, baselines=("constant",)))
    monkeypatch.setattr("dfd_perception.evaluation.opened.SOURCES_KEPT", 1)
    reopened = evaluate(plan_for(*bags, out="reopened", baselines=("constant",)))
    assert repeatable(reopened) == repeatable(kept)


def test_several_bags_in_two_processes_are_one_report(make_bag, plan_for):
    bags = [make_bag("one", frames=3), make_bag("two", frames=4, storage="sqlite3"), make_bag("three", frames=2)]
    alone = evaluate(plan_for(*bags, out="alone"))
    seen = []
    together = evaluate(
        plan_for(*bags, out="together"), workers=2, progress=lambda done, total: seen.append((done, total))
    )
    assert repeatable(alone) == repeatable(together)
    assert seen[-1] == (9, 9)
    assert [source["unit"] for source in alone["data"]["sources"]] == ["one", "two", "three"]


def test_without_truth_there_are_ranges_timing_and_images(make_bag, plan_for):
    plan = plan_for(make_bag(depth=None, aif=False))
    report = evaluate(plan)
    jsonschema.validate(report, schema())
    assert not {"depth", "deblurred", "calibration", "by_distance"} & set(report)
    assert len(report["per_frame"][0]["range_m"]) == 3
    assert report["timing"]["stages"]["total"]["p50_ms"] > 0
    assert (plan.out / "report.html").read_text().count('class="tag">sample') == 3


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_millimetres_and_metres_are_the_same_truth(make_bag, plan_for, encoding):
    report = evaluate(plan_for(make_bag(depth=encoding)))
    assert report["by_distance"][0]["from_m"] < 0.6 < 2.4 < report["by_distance"][-1]["to_m"] < 3


def test_mono16_depth_needs_its_unit(make_bag, plan_for):
    bag = make_bag(depth="mono16")
    options = {"depth_topic": "/truth/depth"}
    with pytest.raises(Exception, match="--depth-unit mm, or metres per count") as caught:
        evaluate(plan_for(bag, bag_options=BagOptions(**options, image_topic="/camera/image")))
    assert caught.value.exit_code == 2
    plan = plan_for(bag, out="mm", bag_options=BagOptions(**options, image_topic="/camera/image", depth_unit_m=1e-3))
    assert evaluate(plan)["depth"]["pixels"] == evaluate(plan_for(make_bag("plain"), out="plain"))["depth"]["pixels"]


def test_mono16_is_found_as_depth_by_its_name_and_its_unit_is_asked_for(make_bag, plan_for):
    bag = make_bag(depth="mono16", aif=False)
    with pytest.raises(ImageError, match="/truth/depth: mono16 has no unit"):
        evaluate(plan_for(bag))
    assert evaluate(plan_for(bag, out="mm", bag_options=BagOptions(depth_unit_m=1e-3)))["depth"]["pixels"] > 0


def test_packed_mono16_needs_its_unit_too():
    counts = np.full((4, 6), 7500, np.uint16)
    for described in ("mono16; png compressed ", "mono16; compressedDepth png"):
        message = SimpleNamespace(data=np.frombuffer(png_bytes(counts), np.uint8), format=described)
        record = BagMessage("/depth", 0, COMPRESSED_IMAGE_TYPE, message)
        with pytest.raises(ImageError, match="mono16 has no unit"):
            depth_m_of(record, None)
        assert np.nanmax(depth_m_of(record, 1 / 5000)) == pytest.approx(1.5)


def test_truth_of_half_the_size_is_measured_at_its_own_pixels(make_bag, plan_for):
    report = evaluate(plan_for(make_bag(depth_size=(24, 32))))
    # A few pixels lie before the focus distance of 0.5 m and do not count.
    assert report["depth"]["pixels"] == pytest.approx(6 * (24 * 32 - 2 * 5), rel=0.005)


def test_stamps_of_zero_can_be_paired_by_the_time_of_recording(make_bag, plan_for):
    bag = make_bag(stamps=False)
    with pytest.raises(Exception, match="--stamps log"):
        evaluate(plan_for(bag))
    assert evaluate(plan_for(bag, out="log", bag_options=BagOptions(stamps="log")))["depth"]["pixels"] > 0


def test_a_board_at_a_known_distance_needs_no_depth_topic(make_bag, plan_for):
    options = BagOptions(board_distance_m=1.2, board_region=(0.25, 0.75, 0.25, 0.75), max_frames=3)
    report = evaluate(plan_for(make_bag(depth=None), bag_options=options))
    assert report["frames"] == 3
    assert report["depth"]["pixels"] == 3 * 24 * 32
    assert [entry["from_m"] < 1.2 <= entry["to_m"] for entry in report["by_distance"]] == [True]


def test_a_cut_bag_is_read_up_to_the_cut_and_says_so(make_bag, plan_for, capsys):
    bag = make_bag(frames=40)
    file = next(bag.glob("*.mcap"))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])
    plan = plan_for(bag)
    arguments = [
        "evaluate",
        "--model",
        plan.model,
        "--bag",
        str(bag),
        "--out",
        str(plan.out),
        "--backend",
        "onnxruntime",
    ]
    assert main(arguments) == 0
    report = read_report(plan.out)
    assert 0 < report["frames"] < 40
    assert "cut short" in report["data"]["sources"][0]["lost"][0]
    assert "cut short" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"arguments": ["--image-topic", "/nowhere"]}, "no topic /nowhere; it has /camera/image (sensor_msgs/"),
        ({"arguments": ["--depth-topic", "/camera/camera_info"]}, "holds sensor_msgs/msg/CameraInfo, not sens"),
        ({"arguments": ["--image-topic", "/truth/depth"]}, "this is depth, not an image"),
        ({"bag": {"depth_frame": "kinect"}}, "in the frame kinect, the image in camera"),
        ({"bag": {"depth_size": (48, 48)}}, "48 x 48 px, the image 64 x 48: not the same field of view"),
        ({"bag": {"stamps": False}}, "stamp of zero"),
        ({"bag": {"frames": 0}}, "no topic fits"),
        ({"arguments": ["--model", "nobody"]}, "expected one model"),
        ({"arguments": ["--protocol", "mine"]}, "expected one of native, eigen-nyu, thesis-256"),
        ({"arguments": ["--share", "2/2"]}, "expected I/N"),
        ({"arguments": ["--lens", "/nowhere/lens.yaml"]}, "/nowhere/lens.yaml"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_2(make_bag, tiny_coc_model, tmp_path, capsys, change, expected):
    bag = make_bag(**change.get("bag", {}))
    arguments = ["evaluate", "--model", str(tiny_coc_model), "--bag", str(bag), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--backend", "onnxruntime", *change.get("arguments", [])]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_bag_that_is_none_and_one_of_the_future(make_bag, tiny_coc_model, tmp_path, capsys):
    arguments = [
        "evaluate",
        "--model",
        str(tiny_coc_model),
        "--out",
        str(tmp_path / "o"),
        "--backend",
        "onnxruntime",
        "--bag",
    ]
    assert main([*arguments, str(tmp_path / "absent")]) == 2
    assert capsys.readouterr().err == f"dfd: {tmp_path / 'absent'}: no such bag\n"
    future = make_bag("future")
    metadata = future / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("version: 8", "version: 99"))
    file = next(future.glob("*.mcap"))
    file.write_bytes(b"\x89MCAP9\r\n" + file.read_bytes()[8:])
    assert main([*arguments, str(future)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_another_evaluation_in_the_folder_is_not_mixed_up(make_bag, plan_for, tiny_coc_model, capsys):
    plan = plan_for(make_bag())
    evaluate(plan)
    arguments = ["evaluate", "--model", str(tiny_coc_model), "--bag", str(plan.bags[0]), "--out", str(plan.out)]
    arguments += ["--backend", "onnxruntime", "--max-depth", "1.5"]
    assert main(arguments) == 2
    assert "another evaluation" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0
    assert read_report(plan.out)["protocol"]["max_depth_m"] == 1.5


def test_results_come_back_as_a_bag_of_the_node_s_topics(make_bag, plan_for):
    plan = plan_for(make_bag(frames=3), write_bag=True)
    evaluate(plan)
    with BagReader(plan.out / "results_bag") as bag:
        assert {"/depth/image", "/depth/std", "/deblurred/image", "/defocus/image", "/depth/camera_info"} <= set(
            bag.topics
        )
        first = next(bag.messages(["/depth/image"]))
        camera = next(bag.messages(["/depth/camera_info"])).message
    assert (first.message.encoding, first.message.header.frame_id) == ("32FC1", "camera")
    assert first.stamp_ns == first.message.header.stamp.sec * 10**9 + first.message.header.stamp.nanosec
    assert camera.k[0] == 620.0


# Not ru_maxrss: a child's begins at the size of the process that started it.
MEMORY_PROGRAM = """
import sys
from pathlib import Path
from dfd_perception.evaluation.plan import EvaluationPlan
from dfd_perception.evaluation.scoring.protocol import Protocol
from dfd_perception.evaluation.run import evaluate
from dfd_perception.inference.estimator import EstimatorOptions
marks = {}
def peak_kib():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])
def progress(done, total):
    if done in (500, total):
        marks[done] = peak_kib()
plan = EvaluationPlan(model=sys.argv[1], out=Path(sys.argv[3]), bags=(Path(sys.argv[2]),), lens=Path(sys.argv[4]),
    protocol=Protocol(edges=False), estimator=EstimatorOptions(backend="onnxruntime", num_threads=1))
report = evaluate(plan, progress=progress)
print(report["frames"], *marks.values(), peak_kib())
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_five_thousand_frames_in_flat_memory(make_bag, tiny_coc_model, lens_file, tmp_path):
    bag = make_bag(frames=5000, size=(32, 48), aif=False)
    program = [
        sys.executable,
        "-c",
        MEMORY_PROGRAM,
        str(tiny_coc_model),
        str(bag),
        str(tmp_path / "out"),
        str(lens_file),
    ]
    result = subprocess.run(program, capture_output=True, text=True, timeout=280, check=True)
    frames, early_kib, late_kib, end_kib = (int(value) for value in result.stdout.split())
    assert frames == 5000
    assert late_kib - early_kib < 8 * 1024
    # The fold takes a sample of pixels, however many there are, and the report an entry of about 6 kB for each frame.
    assert end_kib - early_kib < 120 * 1024
    shutil.rmtree(bag)
