# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Each published data set on a miniature in its exact layout."""

from __future__ import annotations

from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from scipy.io import savemat

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.datasets.published.nyu_depth_v2 import NyuDepthV2
from dfd_perception.datasets.registry import describe_dataset, open_dataset, open_sharp, recognise
from dfd_perception.errors import DatasetError

CURVE = DefocusCurve(gain_px_per_dioptre=16.5, focus_distance_m=0.6)
SIZE = (24, 32)


def _image(path: Path, value: int = 90, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(value).integers(0, 255, (*size, 3), np.uint8)
    assert cv2.imwrite(str(path), image)


def _depth(path: Path, value_mm: int = 1500) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    depth_mm = np.full(SIZE, value_mm, np.uint16)
    depth_mm[0, 0] = 0
    assert cv2.imwrite(str(path), depth_mm)


def test_dfd_indoor_pairs_by_nearest_stamp_and_reports_what_has_no_partner(tmp_path: Path) -> None:
    root = tmp_path / "dfd_indoor"
    wide, narrow = root / "dfd_dataset_indoor_N2_8", root / "dfd_dataset_indoor_N8"
    # As in the published test split: one depth map and one image lack their partner, so that sorted lists shift.
    for second in (5, 20, 31):
        _image(wide / "rgb" / "test" / f"2018-04-26T17:26:{second:02d}.505212.JPG", second)
        _image(narrow / "rgb" / "test" / f"2018-04-26T17:26:{second:02d}.505212.JPG", second + 1)
    for second, depth_mm in ((5, 1005), (12, 1012), (31, 1031)):
        _depth(wide / "depth" / "test" / f"2018-04-26T17:26:{second:02d}.375157.png", depth_mm)
    assert recognise(root) == "dfd-indoor"
    dataset = open_dataset(root, split="test")
    assert [sample.name for sample in map(dataset.__getitem__, range(len(dataset)))] == [
        "2018-04-26T17-26-05.505212",
        "2018-04-26T17-26-31.505212",
    ]
    depths = [float(np.nanmax(dataset[i].depth_m)) for i in range(2)]
    assert depths == pytest.approx([1.005, 1.031])
    summary = describe_dataset(root)
    assert summary.splits == {"test": 2}
    assert any("2018-04-26T17:26:20.505212" in problem for problem in summary.problems)


def test_dfd_indoor_on_the_real_files(shared_data: Path) -> None:
    root = shared_data / "natural_defocus" / "dfd_indoor"
    dataset = open_dataset(root)
    assert len(dataset) == 81
    assert (len(dataset.splits["train65"]), len(dataset.splits["val16"])) == (65, 16)
    held_out = [index for fold in range(1, 6) for index in dataset.splits[f"fold{fold}_val"]]
    assert sorted(held_out) == list(range(81))
    for fold in range(1, 6):
        assert not set(dataset.splits[f"fold{fold}_val"]) & set(dataset.splits[f"fold{fold}_train"])
    sample = dataset[40]
    assert sample.size == (432, 645)
    assert sample.aif is not None
    assert sample.depth_m is not None
    assert 0.2 < float(np.nanmin(sample.depth_m)) < float(np.nanmax(sample.depth_m)) < 12
    assert np.unique(sample.depth_m).size > 256


@pytest.mark.parametrize(("kind", "variant"), [("idfd", "inpainting"), ("idfd-raw", "without_inpainting")])
def test_idfd_keeps_complete_triples_and_whole_places(tmp_path: Path, kind: str, variant: str) -> None:
    root = tmp_path / "Data" / "Raw" / variant
    names = [f"{place}_{i}" for place in ("Apartment1", "Bedroom_room2", "Corp_D1", "Lab3", "Museum") for i in range(3)]
    for number, name in enumerate(names):
        suffix = ".JPG" if number % 2 else ".jpg"
        _image(root / "Out_Of_Focus" / f"{name}{suffix}", number)
        _depth(root / "Depth" / f"{name}.png", 1000 + number)
        if name != "Lab3_1":
            _image(root / "All_In_Focus" / f"{name}.jpg", number + 50)
    assert recognise(tmp_path) == kind
    dataset = open_dataset(tmp_path, kind)
    assert len(dataset) == len(names) - 1
    for index in range(len(dataset)):
        sample = dataset[index]
        assert float(np.nanmax(sample.depth_m)) == pytest.approx(1.0 + names.index(sample.name) / 1000)
    place_of = [dataset[index].name.rpartition("_")[0] for index in range(len(dataset))]
    used = [{place_of[index] for index in indices} for indices in dataset.splits.values()]
    assert sum(map(len, used)) == 5
    assert any("All_In_Focus lacks Lab3_1" in problem for problem in describe_dataset(tmp_path).problems)


def test_idfd_without_its_metric_part_says_so(tmp_path: Path) -> None:
    _image(tmp_path / "Data" / "Processed" / "inpainting" / "Out_Of_Focus" / "Lab_0.jpg")
    with pytest.raises(DatasetError, match="not metric"):
        open_dataset(tmp_path, "idfd")


def _nyu(folder: Path, count: int = 5) -> np.ndarray:
    rng = np.random.default_rng(0)
    depths = rng.uniform(1, 4, (count, 32, 24)).astype(np.float32)
    depths[0, 3, 2] = 0
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = rng.integers(0, 255, (count, 3, 32, 24), np.uint8)
        file["depths"] = depths
    return depths


def test_nyu_reads_transposed_arrays_and_the_published_split(tmp_path: Path) -> None:
    depths = _nyu(tmp_path)
    savemat(tmp_path / "splits.mat", {"trainNdxs": np.array([[2], [4], [5]]), "testNdxs": np.array([[1], [3]])})
    assert recognise(tmp_path) == "nyu-depth-v2"
    source = open_sharp(tmp_path)
    assert source.splits == {"train": [1, 3, 4], "test": [0, 2]}
    frame = source[0]
    assert frame.rgb.shape == (24, 32, 3)
    assert np.isnan(frame.depth_m[2, 3])
    assert frame.depth_m[5, 7] == depths[0, 7, 5]
    assert frame.camera is not None
    assert frame.camera.fx == pytest.approx(518.8579 * 32 / 640)
    assert len(open_dataset(tmp_path, split="test", curve=CURVE)) == 2


def test_nyu_without_or_with_a_wrong_split_is_refused(tmp_path: Path) -> None:
    _nyu(tmp_path)
    with pytest.raises(DatasetError, match=r"splits\.mat: missing"):
        NyuDepthV2(tmp_path)
    savemat(tmp_path / "splits.mat", {"trainNdxs": np.array([[1], [2]]), "testNdxs": np.array([[2]])})
    with pytest.raises(DatasetError, match="do not cover"):
        NyuDepthV2(tmp_path)
    (tmp_path / "nyu_depth_v2_labeled.mat").write_bytes(b"not a file of MATLAB")
    with pytest.raises(DatasetError, match="not a MATLAB 7.3 file, or one that is cut off; get it again from https"):
        NyuDepthV2(tmp_path)
    (tmp_path / "nyu_depth_v2_labeled.mat").unlink()
    with pytest.raises(DatasetError, match=r"labeled\.mat: missing; .* from https"):
        NyuDepthV2(tmp_path)


def test_diode(tmp_path: Path) -> None:
    for split, place, scene in (("train", "indoors", 1), ("val", "outdoor", 2)):
        folder = tmp_path / split / place / f"scene_{scene:05d}" / "scan_00003"
        stem = f"{scene:05d}_00003_{place}_300_010"
        _image(folder / f"{stem}.png", scene)
        mask = np.ones(SIZE)
        mask[0] = 0
        np.save(folder / f"{stem}_depth.npy", np.full((*SIZE, 1), 2.5, np.float32))
        np.save(folder / f"{stem}_depth_mask.npy", mask)
    assert recognise(tmp_path) == "diode"
    source = open_sharp(tmp_path)
    assert {name: list(indices) for name, indices in source.splits.items()} == {
        "train": [0],
        "train_indoors": [0],
        "val": [1],
        "val_outdoor": [1],
    }
    assert np.isnan(source[1].depth_m[0]).all()
    assert (source[1].depth_m[1:] == 2.5).all()
    next(tmp_path.glob("val/*/*/*/*_mask.npy")).unlink()
    with pytest.raises(DatasetError, match="00002_00003_outdoor_300_010"):
        open_sharp(tmp_path)


def test_make3d(tmp_path: Path) -> None:
    for images, maps, name in (("Train400Img", "Train400Depth", "a"), ("Test134", "Gridlaserdata", "b")):
        _image(tmp_path / images / f"img-10.21op2-p-{name}.jpg", size=(64, 48))
        (tmp_path / maps).mkdir()
        grid = np.zeros((55, 305, 4))
        grid[..., 3] = np.linspace(1, 81, 305)
        savemat(tmp_path / maps / f"depth_sph_corr-10.21op2-p-{name}.mat", {"Position3DGrid": grid})
    assert recognise(tmp_path) == "make3d"
    source = open_sharp(tmp_path)
    assert {name: list(indices) for name, indices in source.splits.items()} == {"train": [0], "test": [1]}
    frame = source[1]
    assert frame.name == "10.21op2-p-b"
    assert frame.rgb.shape == (460, 345, 3)
    assert frame.depth_m[200, 0] == pytest.approx(1.0)
    assert np.isnan(frame.depth_m[200, -1])
    (tmp_path / "Test134" / "img-10.21op2-p-b.jpg").unlink()
    with pytest.raises(DatasetError, match="10.21op2-p-b is in one of them only"):
        open_sharp(tmp_path)


def test_syndof_gives_its_maps_in_pixels(tmp_path: Path) -> None:
    _image(tmp_path / "image" / "0001.png")
    (tmp_path / "blur_map").mkdir()
    cv2.imwrite(str(tmp_path / "blur_map" / "0001.png"), np.full((*SIZE, 3), 35, np.uint8))
    assert recognise(tmp_path) == "syndof"
    sample = open_dataset(tmp_path)[0]
    # Code 35 is a sigma of 3.5 px, a disk of 14 px.
    assert (sample.coc_px == 14.0).all()
    assert sample.depth_m is None


def test_ded(tmp_path: Path) -> None:
    for number in (1, 2, 30):
        _image(tmp_path / "image" / f"image_{number:03d}.jpg", number)
        _image(tmp_path / "sharp" / f"sharp_{number:03d}.jpg", number + 5)
        _image(tmp_path / "filtered" / f"defocus_filterd_{number:03d}.png")
    assert recognise(tmp_path) == "ded"
    dataset = open_dataset(tmp_path)
    assert [dataset[i].name for i in range(3)] == ["001", "002", "030"]
    assert dataset[2].aif is not None
    (tmp_path / "filtered" / "defocus_filterd_002.png").unlink()
    with pytest.raises(DatasetError, match="filtered lacks 002"):
        open_dataset(tmp_path)


def test_rtf(tmp_path: Path) -> None:
    for part in ("blurred", "sharp", "gt"):
        _image(tmp_path / part / "07.png")
    assert recognise(tmp_path) == "rtf"
    dataset = open_dataset(tmp_path, split="test")
    assert dataset[0].aif is not None


def test_sharp_sets_want_a_lens_and_unknown_folders_are_named(tmp_path: Path) -> None:
    _image(tmp_path / "set" / "rgb" / "a.png")
    _depth(tmp_path / "set" / "depth" / "a.png")
    with pytest.raises(DatasetError, match="give the lens"):
        open_dataset(tmp_path / "set")
    with pytest.raises(DatasetError, match="no known data set layout"):
        recognise(tmp_path)
    with pytest.raises(DatasetError, match="no such data set"):
        recognise(tmp_path / "absent")
    with pytest.raises(DatasetError, match="choose one of"):
        open_dataset(tmp_path / "set", "kitti")
