# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from dfd_perception.errors import ConfigError, DatasetError
from dfd_perception.files.configuration import from_mapping
from dfd_perception.training.config_sections import DataConfig
from dfd_perception.training.sources import centre_crop, evenly_chosen, open_sources

LENS = {"focal_length_mm": 35, "f_number": 1.4, "focus_distance_m": 0.6}
CAMERA = {"width": 30, "height": 20, "fx": 500.0, "fy": 500.0, "cx": 15.0, "cy": 10.0}
GENERATED = {"kind": "generated", "scene_size_px": 32, "validation_scenes": 3}


def sources_of(**data):
    return open_sources(from_mapping(DataConfig, data, "data"), 0)


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "session"
    for part in ("defocused", "aif", "depth"):
        (root / part).mkdir(parents=True)
    for index in range(10):
        for part, value in (("defocused", 50), ("aif", 90)):
            cv2.imwrite(str(root / part / f"{index:03d}.png"), np.full((20, 30, 3), value + index, np.uint8))
        cv2.imwrite(str(root / "depth" / f"{index:03d}.png"), np.full((20, 30), 1000, np.uint16))
    return root


def describe(folder: Path, **changes) -> Path:
    (folder / "dataset.yaml").write_text(yaml.safe_dump({"format": 1, "name": "s", **changes}))
    return folder


def test_kept_scenes_are_those_of_the_recipe_and_apart_from_the_measured(tmp_path):
    kept, rendered = sources_of(**GENERATED, keep_scenes=tmp_path / "kept"), sources_of(**GENERATED)
    for part in ("train", "validation"):
        # Kept as float16: sharpening and compression make a few grey levels of it.
        difference = getattr(kept, part)[1].defocused.astype(int) - getattr(rendered, part)[1].defocused
        assert np.abs(difference).max() <= 8
        assert (tmp_path / "kept" / part / "000001.npy").is_file()


def test_generated_scenes_to_measure_on_are_never_learnt_from():
    sources = sources_of(**GENERATED)
    assert len(sources.validation) == 3
    for index in range(3):
        assert (sources.train[index].defocused != sources.validation[index].defocused).any()


def test_generated_scenes_get_depth_from_a_lens():
    sources = sources_of(**GENERATED, lens=LENS | {"pixel_pitch_um": 56.25})
    sample = sources.train[0]
    known = np.isfinite(sample.depth_m)
    assert known.any()
    np.testing.assert_allclose(sources.curve.coc_px(sample.depth_m[known]), sample.coc_px[known], atol=1e-3)
    assert sources.lens.f_number == 1.4


def test_a_folder_is_split_and_its_lens_read(folder):
    sources = sources_of(path=str(describe(folder, lens=LENS | {"pixel_pitch_um": 50})))
    assert (len(sources.train), len(sources.validation)) == (8, 2)
    assert sources.kind == "folder"
    assert sources.lens.pixel_pitch_um == 50
    assert sources.train[0].coc_target_px() is not None


def test_a_calibrated_camera_gives_the_pixel_pitch(folder):
    sources = sources_of(path=str(describe(folder, lens=LENS, camera=CAMERA)))
    assert sources.lens.fx_px == pytest.approx(500.0)
    assert sources.curve.gain_px_per_dioptre == pytest.approx(500.0 * 0.025)


def test_the_all_in_focus_image_can_be_the_input(folder):
    sources = sources_of(path=str(describe(folder)), input="aif")
    assert int(sources.train[3].defocused[0, 0, 0]) == 93
    (folder / "aif").rename(folder / "raw")
    with pytest.raises(DatasetError, match="cannot be aif"):
        sources_of(path=str(folder), input="aif").train[0]


def test_one_split_cannot_be_both(folder):
    with pytest.raises(ConfigError, match="both 'train'"):
        sources_of(path=str(describe(folder)), validation_split="train")
    with pytest.raises(DatasetError, match="no split 'holdout'"):
        sources_of(path=str(folder), validation_split="holdout")


def test_samples_are_chosen_evenly(folder):
    dataset = sources_of(path=str(describe(folder)), train_split=None, validation_split="val").train
    assert [evenly_chosen(dataset, 4)[i].name for i in range(4)] == ["000", "003", "006", "009"]
    assert evenly_chosen(dataset, None) is dataset


def test_a_large_image_is_cut_about_its_centre(folder):
    sample = sources_of(path=str(describe(folder))).train[0]
    assert centre_crop(sample, 24).size == (20, 24)
    assert centre_crop(sample, 24).depth_m.shape == (20, 24)
    assert centre_crop(sample, 30) is sample


def test_camera_without_a_stated_floor_has_the_typical_one_in_its_labels(folder):
    """A reading is the total blur: taught without the floor, a model would unlearn what a camera carries in focus."""
    session = {"kind": "folder", "path": str(describe(folder, lens=LENS, camera=CAMERA))}
    without = open_sources(from_mapping(DataConfig, session, "data"), 0)
    typical = open_sources(from_mapping(DataConfig, session, "data"), 0, typical_floor_px=2.5)
    lens_only, total = without.train[0], typical.train[0]
    assert np.allclose(total.coc_target_px(), np.hypot(lens_only.coc_target_px(), 2.5))
    assert total.curve.blur_floor_px == typical.curve.blur_floor_px == 2.5
    assert np.allclose(total.curve.depth_m(total.coc_target_px()), total.depth_m, rtol=1e-3)
    assert any("blur_floor_px" in note and "2.5 px" in note for note in typical.notes)


def test_stated_floor_wins_over_the_typical_one(folder):
    session = {"kind": "folder", "path": str(describe(folder, lens=LENS | {"blur_floor_px": 0.0}, camera=CAMERA))}
    sources = open_sources(from_mapping(DataConfig, session, "data"), 0, typical_floor_px=2.5)
    assert sources.curve.blur_floor_px == sources.train[0].curve.blur_floor_px == 0.0
    assert not any("blur_floor_px" in note for note in sources.notes)
