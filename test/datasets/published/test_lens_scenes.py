# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_perception.datasets.registry import open_dataset, recognise
from dfd_perception.errors import DatasetError

META = {"fx": 660.77, "lens": {"focal_m": 0.035, "f_number": 1.4, "focus_m": 0.6, "pitch_m": 5.625e-05}}


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    for name in ("3000", "3001"):
        scene = tmp_path / "scenes" / name
        scene.mkdir(parents=True)
        image = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
        for part in ("defocused.png", "aif.png"):
            assert cv2.imwrite(str(scene / part), image)
        assert cv2.imwrite(str(scene / "depth.png"), np.full((24, 32), 1000, np.uint16))
        (scene / "meta.json").write_text(json.dumps(META))
    return tmp_path / "scenes"


def test_a_scene_carries_its_lens(scenes: Path) -> None:
    assert recognise(scenes) == "lens-scenes"
    dataset = open_dataset(scenes)
    assert dataset.names == ["3000", "3001"]
    sample = dataset[1]
    assert sample.curve.gain_px_per_dioptre == pytest.approx(16.52, abs=0.01)
    # K (1/F - 1/d) = 16.52 * (1/0.6 - 1).
    assert np.nanmax(sample.coc_target_px()) == pytest.approx(11.01, abs=0.02)


def test_the_sharp_image_may_be_absent(scenes: Path) -> None:
    (scenes / "3000/aif.png").unlink()

    assert open_dataset(scenes)[0].aif is None


def test_a_missing_part_is_named(scenes: Path) -> None:
    (scenes / "3001/meta.json").write_text('{"fx": 600}')

    with pytest.raises(DatasetError, match=r"3001/meta\.json: cannot read fx and lens"):
        open_dataset(scenes)[1]
