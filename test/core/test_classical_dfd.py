# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfd_perception.core.classical_dfd import classical_depth_m, defocus_map_px, edge_coc_px, spread
from dfd_perception.core.layered_blur import blur_layers
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.point_spread import GAUSSIAN
from dfd_perception.core.sensor import encoded_from_linear, uint8_from_encoded

NAN = np.nan


def _blocks(size: int = 160, side: int = 40) -> np.ndarray:
    """Light of large squares: step edges far apart."""
    cells = np.random.default_rng(0).uniform(0.05, 0.95, (size // side, size // side, 1)).astype(np.float32)
    return np.repeat(cv2.resize(cells, (size, size), interpolation=cv2.INTER_NEAREST)[..., None], 3, 2)


def _photograph(light: np.ndarray, coc_px: float) -> np.ndarray:
    blurred = blur_layers(light, np.full(light.shape[:2], coc_px, np.float32), GAUSSIAN)
    return uint8_from_encoded(encoded_from_linear(blurred))


@pytest.mark.parametrize("coc_px", [4.0, 8.0, 16.0])
def test_blur_of_step_edges_is_measured(coc_px: float) -> None:
    found = edge_coc_px(_photograph(_blocks(), coc_px))
    assert np.nanmedian(found) == pytest.approx(coc_px, rel=0.12)


def test_sharp_edges_read_as_nearly_in_focus() -> None:
    assert np.nanmedian(edge_coc_px(_photograph(_blocks(), 0.0))) < 2.0


def test_depth_follows_from_the_lens() -> None:
    curve = DefocusCurve(gain_px_per_dioptre=16.5, focus_distance_m=0.6)
    image = _photograph(_blocks(), float(curve.coc_px(1.0)))
    depth_m = classical_depth_m(image, curve, max_depth_m=5.0)
    assert depth_m.shape == (160, 160)
    assert np.isfinite(depth_m).all()
    assert np.median(depth_m) == pytest.approx(1.0, rel=0.15)


def test_spread_keeps_what_is_known_and_fills_the_rest_from_nearby() -> None:
    sparse = np.full((33, 47), NAN, np.float32)
    sparse[5, 4], sparse[28, 40] = 2.0, 10.0
    filled = spread(sparse)
    assert np.isfinite(filled).all()
    assert filled[5, 4] == pytest.approx(2.0, abs=0.1)
    assert filled[28, 40] == pytest.approx(10.0, abs=0.1)
    assert filled[8, 7] < 4 < 7 < filled[25, 38]


def test_a_image_without_an_edge_has_no_answer() -> None:
    assert np.isnan(defocus_map_px(np.full((40, 50, 3), 128, np.uint8))).all()
