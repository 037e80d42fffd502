# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A mistake must not stand in the way of the right command after it."""

from __future__ import annotations

import json
import resource

import pytest

from dfd_perception.bags.messages import compressed_image_message
from dfd_perception.bags.reader import BagReader
from dfd_perception.bags.writer import BagWriter
from dfd_perception.cli.__main__ import main
from dfd_perception.core.image_encoding import depth_m_from_image
from dfd_perception.errors import RecordingError
from dfd_perception.evaluation.run import evaluate
from dfd_perception.evaluation.scoring.rows import FrameRow, RowFile
from support.compressed_depth import NO_QUANTISATION, png, rvl


@pytest.fixture
def command(tiny_coc_model, tmp_path):
    """The words of `dfd evaluate`, but for the bag."""
    return ["evaluate", "--model", str(tiny_coc_model), "--out", str(tmp_path / "out"), "--backend", "onnxruntime",
            "--bag"]  # fmt: skip


def test_a_mistyped_bag_leaves_nothing(make_bag, command, tmp_path, capsys):
    assert main([*command, str(tmp_path / "typo")]) == 2
    assert not (tmp_path / "out").exists()
    assert main([*command, str(make_bag())]) == 0
    capsys.readouterr()
    before = (tmp_path / "out" / "report.json").read_bytes()
    assert main([*command, str(tmp_path / "typo"), "--overwrite"]) == 2
    assert (tmp_path / "out" / "report.json").read_bytes() == before


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--max-frames", "0"], "frames are at most 0; expected 1 or more"),
        (["--pairing-ms", "-1"], "distance of a pair is -1.0 ms"),
        (["--pairing-ms", "nan"], "distance of a pair is nan ms"),
        (["--fx", "nan"], "fx_px is nan; expected 5 to"),
        (["--workers", "0"], "workers is 0; expected 1 process or more"),
        (["--board-distance", "1500"], "board's distance is 1500.0 m; expected up to 100"),
        (["--board-distance", "1.5", "--board-region", "0.8", "0.2", "0", "1"], "board's region is 0.8 0.2 0 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused_and_leave_nothing(make_bag, command, tmp_path, wrong, words, capsys):
    assert main([*command, str(make_bag()), *wrong]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_evaluation_that_fails_before_its_first_frame_leaves_nothing(make_bag, command, tmp_path, capsys):
    assert main([*command, str(make_bag("odd", depth="mono16")), "--depth-topic", "/truth/depth",
                 "--image-topic", "/camera/image"]) == 2  # fmt: skip
    assert "mono16 has no unit" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*command, str(make_bag())]) == 0


def test_true_depth_without_a_valid_pixel_is_said_and_costs_depth_alone(
    make_bag, command, lens_file, tmp_path, capsys
):
    command = [*command[:-1], "--lens", str(lens_file), "--bag"]
    assert main([*command, str(make_bag("one", empty=(2,)))]) == 0
    assert "1 depth images of /truth/depth have no valid pixel" in capsys.readouterr().err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [("depth" in frame, "deblurred" in frame) for frame in report["per_frame"]] == [
        (index != 2, True) for index in range(6)
    ]
    assert main([*command, str(make_bag("all", empty=range(6))), "--overwrite"]) == 1
    assert "6 depth images of /truth/depth have no valid pixel" in capsys.readouterr().err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "depth" not in report
    assert all("deblurred" in frame for frame in report["per_frame"])


def test_rows_of_nothing_belong_to_nobody(tmp_path):
    path = tmp_path / "rows" / "0-of-1.jsonl"
    path.parent.mkdir()
    path.write_text(json.dumps({"evaluation": {"bags": ["typo"]}}) + "\n")
    rows = RowFile(path, {"bags": ["right"]})
    rows.add([FrameRow(variant="model", unit="right", index=0, name="0")])
    rows.close()
    assert json.loads(path.read_text().splitlines()[0]) == {"evaluation": {"bags": ["right"]}}


def test_a_disk_that_takes_no_more_is_said_with_the_file(tmp_path):
    rows = RowFile(tmp_path / "rows.jsonl", {})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (rows.path.stat().st_size, limits[1]))
    try:
        with pytest.raises(RecordingError, match=r"rows\.jsonl: cannot be written \(it is larger than a file may be\)"):
            rows.add([FrameRow(variant="model", unit="u", index=0, name="0")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        rows.close()


@pytest.mark.parametrize("packing", ["png", "rvl"])
def test_compressed_depth_is_truth_like_raw_depth(make_bag, plan_for, tmp_path, packing):
    raw = make_bag("raw")
    packed = tmp_path / "packed"
    with BagReader(raw) as source, BagWriter(packed) as bag:
        for found in source.messages():
            if found.topic == "/truth/depth":
                depth_mm = found.message.data.view("<u2").reshape(found.message.height, found.message.width)
                assert depth_m_from_image(found.message).shape == depth_mm.shape
                content = NO_QUANTISATION + (png if packing == "png" else rvl)(depth_mm)
                stamp = found.message.header.stamp
                message = compressed_image_message(
                    content, f"16UC1; compressedDepth {packing}", stamp.sec * 10**9 + stamp.nanosec, "camera"
                )
                bag.write("/truth/depth/compressedDepth", "sensor_msgs/msg/CompressedImage", found.stamp_ns, message)
            else:
                bag.write(found.topic, found.msgtype, found.stamp_ns, found.message)
    reports = [evaluate(plan_for(bag, out=bag.name)) for bag in (raw, packed)]
    assert reports[1]["depth"]["pixels"] == reports[0]["depth"]["pixels"] > 0
    assert reports[1]["depth"]["abs_rel"] == reports[0]["depth"]["abs_rel"] > 0


def test_truth_that_never_pairs_is_said(make_bag, plan_for):
    plan = plan_for(make_bag(), bag_options=_bound(1.0))
    lost = evaluate(plan)["data"]["sources"][0]["lost"]
    assert any("none of 6 messages of /truth/depth lies within 1 ms of an image (the nearest is 2 ms away)" in line
               for line in lost), lost  # fmt: skip


def _bound(bound_ms: float):
    from dfd_perception.evaluation.sources.bag_options import BagOptions

    return BagOptions(bound_ms=bound_ms)
