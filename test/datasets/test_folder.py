# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.datasets.folder import DatasetDescription, open_folder, read_description, write_dataset_yaml
from dfd_perception.datasets.registry import describe_dataset, open_dataset
from dfd_perception.datasets.sample import DefocusSample
from dfd_perception.datasets.synthesis import FolderWriter
from dfd_perception.errors import DatasetError, RecordingError
from dfd_perception.files.images import write_png
from dfd_perception.files.lens_file import LensDescription

LENS = LensDescription(focal_length_mm=35, f_number=1.4, focus_distance_m=0.6, pixel_pitch_um=56.25)
CAMERA = CameraIntrinsics(width=14, height=11, fx=20.0, fy=21.0, cx=6.0, cy=5.5)


def _written(folder: Path, count: int = 5) -> list[DefocusSample]:
    writer = FolderWriter(folder, LENS, {"source": "a test"})
    samples = []
    for index in range(count):
        rng = np.random.default_rng(index)
        depth_m = (rng.integers(600, 5000, (11, 14)) / 1000).astype(np.float32)
        depth_m[0, 0] = np.nan
        images = rng.integers(0, 255, (2, 11, 14, 3), np.uint8)
        samples.append(
            DefocusSample(
                name=f"f{index}",
                defocused=images[0],
                aif=images[1],
                depth_m=depth_m,
                camera=CAMERA,
                curve=LENS.curve(CAMERA.fx),
            )
        )
        writer.add(samples[-1])
    writer.finish()
    return samples


def test_what_is_written_is_read_back_exactly(tmp_path: Path) -> None:
    written = _written(tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    assert len(dataset) == 5
    assert {name: list(indices) for name, indices in dataset.splits.items()} == {"train": [0, 1, 2, 3], "val": [4]}
    for index, sample in enumerate(written):
        read = dataset[index]
        np.testing.assert_array_equal(read.defocused, sample.defocused)
        np.testing.assert_array_equal(read.aif, sample.aif)
        np.testing.assert_allclose(read.depth_m, sample.depth_m, atol=1e-6)
        assert (read.name, read.camera, read.curve) == (sample.name, sample.camera, sample.curve)
    content = yaml.safe_load((tmp_path / "set" / "dataset.yaml").read_text())
    assert content["counts"] == {"defocused": 5, "aif": 5, "depth": 5}
    assert content["lens"]["f_number"] == 1.4
    assert not list(tmp_path.rglob("*.part"))
    assert describe_dataset(tmp_path / "set").problems == []


def test_stated_splits_are_used_and_their_errors_named(tmp_path: Path) -> None:
    _written(tmp_path)
    write_dataset_yaml(tmp_path, DatasetDescription(splits={"test": ["f3", "f1"]}))
    assert open_dataset(tmp_path, split="test")[0].name == "f3"
    write_dataset_yaml(tmp_path, DatasetDescription(splits={"test": ["f3", "g1"]}))
    with pytest.raises(DatasetError, match="split test names g1"):
        open_folder(tmp_path)


def test_parts_may_be_absent_as_a_whole_but_not_one_by_one(tmp_path: Path) -> None:
    _written(tmp_path)
    for path in (tmp_path / "aif").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match="aif lacks f0, f1, f2 and 2 more"):
        open_folder(tmp_path)
    (tmp_path / "aif").rmdir()
    with pytest.raises(DatasetError, match="aif: no such folder"):
        open_folder(tmp_path)
    write_dataset_yaml(tmp_path, DatasetDescription())
    assert open_folder(tmp_path)[0].aif is None
    (tmp_path / "depth" / "f2.png").unlink()
    with pytest.raises(DatasetError, match="depth lacks f2; add the files or remove their partners"):
        open_folder(tmp_path)
    (tmp_path / "defocused" / "f3.png").unlink()
    with pytest.raises(DatasetError, match="defocused lacks f3; depth lacks f2"):
        open_folder(tmp_path)


def _spoil(folder: Path, how: str) -> None:
    path = folder / "depth" / "f1.png"
    contents = {
        "8 bits": np.full((11, 14), 7, np.uint8),
        "register the depth": np.full((14, 11), 900, np.uint16),
        "no valid depth": np.zeros((11, 14), np.uint16),
        "3 channel": np.full((11, 14, 3), 900, np.uint16),
    }
    if how in contents:
        cv2.imwrite(str(path), contents[how])
    elif how == "cannot be decoded as an image":
        path.write_bytes(b"\x89PNG torn")
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize(
    "how", ["8 bits", "register the depth", "no valid depth", "3 channel", "cannot be decoded as an image", "0 bytes"]
)
def test_a_bad_depth_file_is_named_with_what_to_do(tmp_path: Path, how: str) -> None:
    _written(tmp_path)
    _spoil(tmp_path, how)
    dataset = open_folder(tmp_path)
    with pytest.raises(DatasetError, match=how) as caught:
        dataset[1]
    assert str(tmp_path / "depth" / "f1.png") in str(caught.value)
    assert "\n" not in str(caught.value)
    summary = describe_dataset(tmp_path)
    assert [how in problem for problem in summary.problems] == [True]
    assert summary.frames == 5


def test_an_aif_of_another_size_is_named(tmp_path: Path) -> None:
    _written(tmp_path)
    write_png(tmp_path / "aif" / "f2.png", np.zeros((10, 14, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"aif/f2\.png: image is 14 x 10 px"):
        open_folder(tmp_path)[2]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("format: 1\nlense: {}\n", "unknown key lense"),
        ("format: 7\n", "reads format 1"),
        ("format: 1\nlens: {f_number: 2, focus_distance_m: 1}\n", "f_number says nothing"),
        ("[1, 2]\n", "expected a mapping"),
        ("a: [\n", "not valid YAML"),
    ],
)
def test_a_wrong_description_is_one_line_that_names_the_file(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "dataset.yaml").write_text(text)
    with pytest.raises(DatasetError, match=word) as caught:
        read_description(tmp_path)
    assert "dataset.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_in_use_is_not_written_into(tmp_path: Path) -> None:
    _written(tmp_path)
    with pytest.raises(DatasetError, match="not empty"):
        FolderWriter(tmp_path, LENS, {})


def test_a_full_disk_leaves_the_old_file_and_no_debris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    write_png(path, np.zeros((4, 4, 3), np.uint8))
    before = path.read_bytes()

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(RecordingError, match="the disk is full"):
        write_png(path, np.ones((4, 4, 3), np.uint8))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
