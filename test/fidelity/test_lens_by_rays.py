# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The lens by rays through its aperture: circle of confusion and simulated blur, without a formula of the package."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfd_perception.core.layered_blur import blur_layers
from dfd_perception.core.lens import LensDescription
from dfd_perception.core.optics import DefocusCurve

FOCAL_M, F_NUMBER, FOCUS_M, PITCH_M = 0.035, 1.4, 0.8, 40e-6
APERTURE_M = FOCAL_M / F_NUMBER


def image_distance_m(depth_m: float) -> float:
    """Where a thin lens images a point of this depth."""
    return 1 / (1 / FOCAL_M - 1 / depth_m)


def traced_blur_px(depth_m: float) -> float:
    """Two marginal rays from a point on the axis, refracted, met with the sensor: how far apart they land [px]."""
    sensor_m = image_distance_m(FOCUS_M)
    landing = []
    for height_m in (-APERTURE_M / 2, APERTURE_M / 2):
        slope = height_m / depth_m - height_m / FOCAL_M  # from the point to the lens, then bent by it
        landing.append(height_m + slope * sensor_m)
    return abs(landing[1] - landing[0]) / PITCH_M


@pytest.mark.parametrize("depth_m", [0.45, 0.7, 0.8, 1.0, 2.0, 5.0, 50.0])
def test_the_circle_of_confusion_is_where_marginal_rays_land(depth_m):
    lens = LensDescription(
        focal_length_mm=35, f_number=F_NUMBER, focus_distance_m=FOCUS_M, pixel_pitch_um=PITCH_M * 1e6
    )
    curve = lens.resolved().curve
    assert float(curve.coc_px(depth_m)) == pytest.approx(traced_blur_px(depth_m), abs=1e-9)
    if depth_m > FOCUS_M:
        assert float(curve.depth_m(traced_blur_px(depth_m))) == pytest.approx(depth_m, rel=1e-9)


def aperture_points(count: int) -> np.ndarray:
    """(n, 2) in the unit disk, evenly (Vogel's spiral)."""
    k = np.arange(count) + 0.5
    radius, angle = np.sqrt(k / count), k * np.pi * (3 - np.sqrt(5))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def texture(size, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = [rng.random((size[0] // s, size[1] // s, 3), np.float32) for s in (4, 8, 16)]
    return sum(cv2.resize(part, size[::-1], interpolation=cv2.INTER_CUBIC) / 3 for part in coarse)


def traced(front, back, inside, front_px: float, back_px: float) -> np.ndarray:
    """Mean of pinhole images through points of the aperture: each plane moves by its signed blur over 2."""
    total = np.zeros_like(back)
    height, width = inside.shape
    points = aperture_points(400)
    for u, v in points:
        def moved(image, blur_px, u=u, v=v):
            shift = np.float32([[1, 0, u * blur_px / 2], [0, 1, v * blur_px / 2]])
            return cv2.warpAffine(image, shift, (width, height), borderMode=cv2.BORDER_REFLECT_101)

        cover = moved(inside, front_px)[..., None]
        total += cover * moved(front, front_px) + (1 - cover) * moved(back, back_px)
    return total / len(points)


@pytest.mark.parametrize(("front_m", "back_m", "least_db"), [(0.8, 1.4, 31), (1.0, 1.6, 30), (1.4, 1.4, 40)])
def test_layered_blur_is_what_rays_through_the_aperture_draw(front_m, back_m, least_db):
    size = (96, 128)
    curve = DefocusCurve(gain_px_per_dioptre=12.0, focus_distance_m=0.8)
    front, back = texture(size, 1), texture(size, 2)
    inside = np.zeros(size, np.float32)
    inside[:, :64] = 1
    sharp = np.where(inside[..., None] > 0, front, back)
    depth = np.where(inside > 0, front_m, back_m).astype(np.float32)
    signed = [float(curve.signed_coc_px(np.float32(d))) for d in (front_m, back_m)]
    expected = traced(front, back, inside, *signed)
    found = blur_layers(sharp.astype(np.float32), curve.signed_coc_px(depth).astype(np.float32))
    error = (found - expected)[16:-16, 16:-16]
    psnr_db = -10 * np.log10(float(np.mean(error**2)))
    untouched_db = -10 * np.log10(float(np.mean((sharp - expected)[16:-16, 16:-16] ** 2)))
    assert psnr_db > least_db
    assert psnr_db > untouched_db + 5
