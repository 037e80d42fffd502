# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_perception.core.layered_blur import blur_layers
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.sensor import SensorNoise, encoded_from_linear, linear_from_encoded, uint8_from_encoded
from dfd_perception.datasets.registry import open_dataset
from dfd_perception.datasets.rgbd import DefocusedRgbd, RgbdFolder
from dfd_perception.errors import DatasetError

CURVE = DefocusCurve(gain_px_per_dioptre=8.0, focus_distance_m=0.6)


def _frames(folder: Path, nested: bool) -> None:
    rng = np.random.default_rng(0)
    for index in range(3):
        image = rng.integers(0, 255, (24, 30, 3), np.uint8)
        depth_mm = np.full((24, 30), 600, np.uint16)
        depth_mm[:, 15:] = 1200
        depth_mm[0, 0] = 0
        rgb = folder / f"s{index}" / "rgb.png" if nested else folder / "rgb" / f"s{index}.jpg"
        depth = folder / f"s{index}" / "depth.png" if nested else folder / "depth" / f"s{index}.png"
        for path, array in ((rgb, image), (depth, depth_mm)):
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), array)
        if nested:
            meta = {"fx": 40.0, "fy": 41.0, "cx": 14.0, "cy": 12.0, "note": "anything"}
            (folder / f"s{index}" / "meta.json").write_text(json.dumps(meta))


@pytest.mark.parametrize("nested", [True, False])
def test_both_layouts(tmp_path: Path, nested: bool) -> None:
    _frames(tmp_path, nested)
    dataset = open_dataset(tmp_path, curve=CURVE)
    assert len(dataset) == 3
    sample = dataset[1]
    assert sample.name == "s1"
    assert (sample.camera is not None) == nested
    # Blur 0 at 0.6 m, 8 (1 / 0.6 - 1 / 1.2) = 6.67 px at 1.2 m; unknown where depth is.
    assert sample.coc_px[5, 3] == pytest.approx(0, abs=1e-5)
    assert sample.coc_px[5, 20] == pytest.approx(8 / 1.2, rel=1e-5)
    assert np.isnan(sample.coc_px[0, 0])
    np.testing.assert_array_equal(sample.defocused[4:, :8], sample.aif[4:, :8])
    assert np.abs(sample.defocused[:, 20:].astype(int) - sample.aif[:, 20:]).mean() > 10


def test_blur_happens_in_linear_light(tmp_path: Path) -> None:
    _frames(tmp_path, nested=True)
    frame = RgbdFolder(tmp_path)[0]
    sharp = linear_from_encoded(frame.rgb.astype(np.float32) / 255)
    light = blur_layers(sharp, CURVE.signed_coc_px(np.nan_to_num(frame.depth_m, nan=0.6)).astype(np.float32))
    expected = uint8_from_encoded(encoded_from_linear(light))
    np.testing.assert_array_equal(DefocusedRgbd(RgbdFolder(tmp_path), CURVE)[0].defocused, expected)


def test_a_hole_in_a_near_surface_is_not_blurred_like_the_background(tmp_path: Path) -> None:
    _frames(tmp_path, nested=True)
    depth_mm = np.full((24, 30), 600, np.uint16)
    depth_mm[:, 24:] = 1200
    whole = depth_mm.copy()
    depth_mm[8:16, 2:10] = 0
    image, truth = {}, {}
    for name, stored in (("whole", whole), ("holed", depth_mm)):
        cv2.imwrite(str(tmp_path / "s0" / "depth.png"), stored)
        sample = DefocusedRgbd(RgbdFolder(tmp_path), CURVE)[0]
        image[name], truth[name] = sample.defocused, sample.coc_px
    np.testing.assert_array_equal(image["holed"], image["whole"])
    np.testing.assert_array_equal(np.isnan(truth["holed"]), depth_mm == 0)


def test_noise_depends_on_seed_and_index_alone(tmp_path: Path) -> None:
    _frames(tmp_path, nested=True)
    noise = SensorNoise(full_well_e=2000, read_noise=0.01)

    def image(seed: int, index: int) -> np.ndarray:
        return open_dataset(tmp_path, curve=CURVE, noise=noise, seed=seed)[index].defocused

    np.testing.assert_array_equal(image(3, 1), image(3, 1))
    dataset = open_dataset(tmp_path, curve=CURVE, noise=noise, seed=3)
    backwards = [dataset[index].defocused for index in (2, 1, 0)]
    np.testing.assert_array_equal(backwards[1], image(3, 1))
    assert (image(3, 1) != image(4, 1)).any()


def test_missing_parts_and_bad_meta_are_named(tmp_path: Path) -> None:
    _frames(tmp_path / "nested", nested=True)
    (tmp_path / "nested" / "s1" / "meta.json").write_text('{"fx": 4}')
    with pytest.raises(DatasetError, match=r"s1/meta\.json"):
        RgbdFolder(tmp_path / "nested")[1]
    (tmp_path / "nested" / "s1" / "depth.png").unlink()
    with pytest.raises(DatasetError, match=r"s1: no depth\.png"):
        RgbdFolder(tmp_path / "nested")
    _frames(tmp_path / "flat", nested=False)
    (tmp_path / "flat" / "rgb" / "s2.jpg").unlink()
    with pytest.raises(DatasetError, match="rgb lacks s2"):
        RgbdFolder(tmp_path / "flat")


@pytest.mark.parametrize(("unit", "deepest_m"), [("0.001", 1.2), ("0.0002", 0.24), (None, 1.2)])
def test_meta_json_states_the_unit_of_depth(tmp_path: Path, unit: str | None, deepest_m: float) -> None:
    _frames(tmp_path, nested=False)
    if unit:
        (tmp_path / "depth" / "meta.json").write_text(f'{{"fx": 4, "fy": 4, "cx": 1, "cy": 1, "depth_unit_m": {unit}}}')
    source = RgbdFolder(tmp_path)
    assert source.depth_unit.stated == (unit is not None)
    assert np.nanmax(source[0].depth_m) == pytest.approx(deepest_m)


@pytest.mark.parametrize("unit", ["0", "-1", '"mm"', "NaN"])
def test_an_impossible_unit_is_refused(tmp_path: Path, unit: str) -> None:
    _frames(tmp_path, nested=False)
    (tmp_path / "depth" / "meta.json").write_text(f'{{"depth_unit_m": {unit}}}')
    with pytest.raises(DatasetError, match=r"depth_unit_m must be metres per count"):
        RgbdFolder(tmp_path)


def test_the_real_pairs(shared_data: Path) -> None:
    source = RgbdFolder(shared_data / "rgbd")
    assert len(source) == 101
    sample = DefocusedRgbd(source, DefocusCurve(gain_px_per_dioptre=16.5, focus_distance_m=0.6))[1]
    assert sample.camera is not None
    assert sample.curve is not None
    valid = np.isfinite(sample.depth_m)
    expected = np.abs(16.5 * (1 / 0.6 - 1 / sample.depth_m[valid]))
    np.testing.assert_allclose(sample.coc_target_px()[valid], expected, atol=1e-4)
