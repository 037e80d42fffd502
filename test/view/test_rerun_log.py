# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Recordings for the Rerun viewer, read back with Rerun's own reader."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.errors import UsageError
from dfd_perception.view.frame_slot import Status, ViewFrame

CAMERA = CameraIntrinsics(width=8, height=6, fx=10.0, fy=10.0, cx=3.5, cy=2.5)
STAMP_NS = 1_700_000_000_123_456_789


def frame(number: int) -> ViewFrame:
    depth_m = np.full((6, 8), 1.0 + number, np.float32)
    depth_m[0, :] = np.nan
    images = {name: np.full((6, 8, 3), (200, 100, 50), np.uint8) for name in ("input", "deblurred")}
    maps = {"depth": depth_m, "std": depth_m / 10, "blur": np.full((6, 8), 3.25, np.float32), "measured": depth_m + 1}
    return ViewFrame(stamp_ns=STAMP_NS + number, name=f"photo_{number}", images=images, maps=maps, camera=CAMERA)


@pytest.fixture
def read_back():
    if sys.version_info < (3, 11):
        pytest.skip("rerun-sdk needs Python 3.11 or newer")
    chunk = pytest.importorskip("rerun.chunk", reason="no rerun-sdk in this environment: make test-rerun")

    def read(path):
        """Columns by entity: {"/camera/depth": {"frame": [...], "DepthImage:buffer": [...]}}."""
        entities = {}
        for part in chunk.RrdReader(path).stream():
            columns = entities.setdefault(part.entity_path, {})
            batch = part.to_record_batch()
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                is_time = str(column.type).startswith("timestamp")
                columns.setdefault(name, []).extend((column.cast("int64") if is_time else column).to_pylist())
        return entities

    return read


def test_what_is_logged_is_read_back(tmp_path, read_back):
    from dfd_perception.view.rerun_log import RerunLog

    log = RerunLog(tmp_path / "out.rrd")
    with log.recording("two photos"):
        for number in range(2):
            log.show(frame(number))
            log.report(
                Status(level=1, message="mind", values={"model": "m"}, series={"rate in": 5.0, "inference": 7.5})
            )
        assert not (tmp_path / "out.rrd").exists(), "the name stands for a whole file"
    assert log.frame_count == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out.rrd"]

    entities = read_back(tmp_path / "out.rrd")
    depth = entities["/camera/depth"]
    assert depth["frame"] == [0, 1]
    assert depth["stamp"] == [STAMP_NS, STAMP_NS + 1]
    assert depth["DepthImage:meter"] == [[1.0], [1.0]]
    expected = frame(1)
    for entity, kind, name in (
        ("/camera/depth", "DepthImage", "depth"), ("/camera/measured", "DepthImage", "measured"),
        ("/std", "Image", "std"), ("/blur", "Image", "blur"),
    ):  # fmt: skip
        logged = np.array(entities[entity][f"{kind}:buffer"][1][0], np.uint8).view(np.float32).reshape(6, 8)
        np.testing.assert_array_equal(logged, expected.maps[name], err_msg=entity)
    for name in ("input", "deblurred"):
        jpeg = np.array(entities[f"/camera/{name}"]["EncodedImage:blob"][1][0], np.uint8)
        bgr = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        np.testing.assert_allclose(bgr[..., ::-1], expected.images[name], atol=4, err_msg=name)
    assert entities["/diagnostics/rate_in"]["Scalars:scalars"] == [[5.0], [5.0]]
    assert entities["/diagnostics/inference"]["Scalars:scalars"] == [[7.5], [7.5]]
    assert entities["/diagnostics/message"]["TextLog:text"] == [["mind"]], "a message that stays is logged once"
    assert entities["/diagnostics/name"]["TextLog:text"] == [["photo_0"], ["photo_1"]]


def test_points_are_metric_and_their_camera_stands_beside_them(tmp_path, read_back):
    from dfd_perception.view.rerun_log import RerunLog

    log = RerunLog(tmp_path / "out.rrd")
    with log.recording("one photo"):
        log.show(frame(0))
    entities = read_back(tmp_path / "out.rrd")
    points = np.array(entities["/camera/points"]["Points3D:positions"][0])
    assert len(points) == 5 * 8, "no depth, no point"
    np.testing.assert_allclose(points[0], [(0 - 3.5) / 10, (1 - 2.5) / 10, 1.0], rtol=1e-6)
    np.testing.assert_allclose(points[-1], [(7 - 3.5) / 10, (5 - 2.5) / 10, 1.0], rtol=1e-6)
    assert entities["/camera/points"]["Points3D:colors"][0][0] >> 8 == (200 << 16 | 100 << 8 | 50)
    matrix = np.array(entities["/camera"]["Pinhole:image_from_camera"][0][0])  # column by column
    np.testing.assert_allclose(matrix.reshape(3, 3).T, [[10, 0, 3.5], [0, 10, 2.5], [0, 0, 1]])


def test_images_are_logged_once_each_and_a_bad_one_is_named(tmp_path, tiny_coc_model, read_back, capfd):
    from dfd_perception.cli.__main__ import main

    album = tmp_path / "photos"
    album.mkdir()
    for number in range(3):
        image = np.random.default_rng(number).integers(0, 256, (48, 80, 3), np.uint8)
        cv2.imwrite(str(album / f"photo_{number}.png"), image)
    (album / "photo_1.png").write_bytes(b"nothing")
    (tmp_path / "lens.yaml").write_text("aperture_diameter_mm: 25\nfocus_distance_m: 0.6\nblur_floor_px: 0\n")
    options = ["--model", str(tiny_coc_model), "--lens", str(tmp_path / "lens.yaml"), "--fx", "660"]
    assert main(["view", str(album), *options, "--rerun", str(tmp_path / "out.rrd")]) == 0
    said = capfd.readouterr()
    assert "2 frames" in said.out
    assert "photo_1.png" in said.err
    entities = read_back(tmp_path / "out.rrd")
    assert entities["/diagnostics/name"]["TextLog:text"] == [["photo_0"], ["photo_2"]]
    assert len(entities["/camera/depth"]["frame"]) == len(entities["/blur"]["frame"]) == 2


@pytest.mark.parametrize(
    ("name", "word"), [("out.txt", "expected such a name"), ("there.rrd", "exists"), ("none/out.rrd", "no such folder")]
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_starts(tmp_path, name, word):
    from dfd_perception.view.rerun_log import RerunLog

    (tmp_path / "there.rrd").write_bytes(b"kept")
    with pytest.raises(UsageError, match=word):
        RerunLog(tmp_path / name)
    assert (tmp_path / "there.rrd").read_bytes() == b"kept"


def test_without_the_library_one_line_says_what_to_install(tmp_path, monkeypatch, capfd):
    from dfd_perception.cli.__main__ import main

    monkeypatch.setitem(sys.modules, "rerun", None)
    assert main(["view", "photos", "--rerun", str(tmp_path / "out.rrd")]) == 2
    said = capfd.readouterr().err
    assert "pip install rerun-sdk" in said
    assert said.count("\n") == 1
