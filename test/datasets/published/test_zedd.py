# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""ZEDD's validation half on a miniature in its published layout."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_perception.datasets.registry import describe_dataset, open_dataset, recognise
from dfd_perception.errors import DatasetError

RUNS = {"run_1": ("6D3E", 0.82), "run_5": ("2371", 1.7)}
K = np.array([[1500.0, 0, 912], [0, 1500.0, 608], [0, 0, 1]])
FULL = (1216 // 4, 1824 // 4)
APERTURES = (1.4, 2.8, 5.6)


@pytest.fixture
def zedd(tmp_path: Path) -> Path:
    root = tmp_path / "ZEDD"
    rng = np.random.default_rng(0)
    for scene in ("val_0001", "val_0002"):
        stack, truth = root / "val" / scene / "focus_stack", root / "val" / scene / "gt"
        stack.mkdir(parents=True)
        truth.mkdir()
        for run, (code, _) in RUNS.items():
            for number in APERTURES:
                image = rng.integers(0, 255, (*FULL, 3), np.uint8)
                assert cv2.imwrite(str(stack / f"img_{run}_motor_{code}_aperture_F{number:.1f}.jpg"), image)
        image = rng.integers(0, 255, (*FULL, 3), np.uint8)
        assert cv2.imwrite(str(stack / "img_run_5_motor_2371_aperture_F16.0.jpg"), image)
        depth_m = np.tile(np.linspace(1.0, 4.0, FULL[1]), (FULL[0], 1)).astype(np.float32)
        depth_m[:40] = np.inf
        np.save(truth / "depth.npy", depth_m)
        np.savetxt(truth / "K.txt", K / 4)
    lines = ["# run\thex\tfocus distance [m]", *(f"{run}\t{code}\t{focus}" for run, (code, focus) in RUNS.items())]
    (root / "metadata.txt").write_text("\n".join(lines) + "\n")
    return root


def test_every_image_is_a_sample_with_its_own_lens(zedd: Path) -> None:
    assert recognise(zedd) == "zedd"
    dataset = open_dataset(zedd)
    assert len(dataset) == 2 * len(RUNS) * len(APERTURES)
    assert dataset.names[0] == "val_0001_run_1_F1.4"
    sample = dataset[0]
    assert sample.name == dataset.names[0]
    assert sample.size == (480, 640)
    assert sample.aif is not None
    # K = fx * aperture diameter: 1500 px at 1216 rows are 592.1 at 480.
    assert sample.curve.gain_px_per_dioptre == pytest.approx(1500 * 480 / 1216 * 50 / 1.4 / 1e3, rel=1e-3)
    assert sample.curve.focus_distance_m == 0.82
    assert sample.camera.fx == pytest.approx(592.1, rel=1e-3)
    # The middle 640 of 720 columns: the principal point moves by 40.
    assert sample.camera.cx == pytest.approx(912 * 480 / 1216 - 40, abs=0.5)


def test_depth_is_cut_like_the_image_and_infinity_is_unknown(zedd: Path) -> None:
    depth_m = open_dataset(zedd)[0].depth_m

    assert np.isnan(depth_m[:50]).all()
    assert depth_m[200, 0] == pytest.approx(1 + 3 * 40 / 720, abs=0.02)
    assert depth_m[200, -1] == pytest.approx(1 + 3 * 680 / 720, abs=0.02)


def test_splits_by_aperture_and_by_focus_distance(zedd: Path) -> None:
    assert len(open_dataset(zedd, split="f2.8")) == 4
    only = open_dataset(zedd, split="run_5")
    assert {only[i].curve.focus_distance_m for i in range(len(only))} == {1.7}


def test_a_scene_without_depth_is_named(zedd: Path) -> None:
    (zedd / "val/val_0002/gt/depth.npy").unlink()

    assert describe_dataset(zedd).problems == ["val_0002 has no gt/depth.npy"]


def test_metadata_of_another_form_is_refused_by_line(zedd: Path) -> None:
    (zedd / "metadata.txt").write_text("# header\nrun_1 6D3E 0.82\n")

    with pytest.raises(DatasetError, match=r"metadata\.txt, line 2: 'run_1 6D3E 0.82'; expected run"):
        open_dataset(zedd)
