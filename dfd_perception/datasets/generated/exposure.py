# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From a sharp scene to the light on the sensor: softness of the optics, defocus, highlights.

What is learnt is the total blur sqrt(c^2 + c0^2): the circle of confusion c of the lens, and the floor
c0 = 4 sigma of everything else that softens the image. The generator knows both. Variances of independent
blurs add, so c0 is kept as a variance until the label is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.layered_blur import blur_layers
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.point_spread import PointSpread
from dfd_perception.core.sensor import jpeg_round_trip, linear_from_encoded, uint8_from_encoded
from dfd_perception.datasets.generated.layout import Layout

FloatMap = NDArray[np.float32]

COARSE_BEYOND_PX = 14.0
"""Blur wider than this is laid at half size: blurring is the brake of training."""

Ends = tuple[float, float]

LENS_SHARE = 0.8
"""How often a scene whose size is known is seen by a lens; the rest gets blur as a procedural one does."""

Blur = Callable[[FloatMap, FloatMap, PointSpread], FloatMap]
"""(H, W, 3) linear light, (H, W) signed circle of confusion [px] and the shape of the blur, to the defocused light."""


def blur_on_cpu(light: FloatMap, signed_coc_px: FloatMap, point_spread: PointSpread) -> FloatMap:
    """The layered blur, wide blur laid coarsely."""
    return blur_layers(light, signed_coc_px, point_spread, coarse_beyond_px=COARSE_BEYOND_PX)


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """A scene behind a lens, before sensor and processing."""

    light: FloatMap
    """(H, W, 3) linear, defocused; highlights may exceed 1."""
    sharp_light: FloatMap
    """(H, W, 3) linear, all-in-focus, as soft as the source."""
    signed_coc_px: FloatMap
    """(H, W) of the lens alone, negative nearer than the focus plane."""
    floor_variance_px2: float
    """sigma^2 of what softens the source besides defocus; sharpening counts negatively."""
    gamma: float


def expose(
    rng: np.random.Generator,
    layout: Layout,
    largest_coc_px: float,
    blur: Blur = blur_on_cpu,
) -> Exposure:
    """Take a sharp scene through a random lens.

    Args:
        rng: draws everything.
        layout: the sharp scene.
        largest_coc_px: upper end of the blur.
        blur: what defocuses the light.
    """
    beta = signed_blur(rng, layout, largest_coc_px)
    soft, variance_px2 = soften_source(rng, layout.image)
    # Nine of ten are blurred in linear light, as light is; the rest in encoded values, as many simulators do.
    gamma = float(rng.uniform(1.9, 2.4)) if rng.random() < 0.9 else 1.0
    sharp = linear_from_encoded(soft, gamma)
    if gamma > 1 and rng.random() < 0.25:
        sharp = _with_highlights(rng, sharp)
    return Exposure(
        light=blur(sharp, beta, random_point_spread(rng)),
        sharp_light=sharp,
        signed_coc_px=beta,
        floor_variance_px2=variance_px2 + layout.softness_px2,
        gamma=gamma,
    )


def signed_blur(rng: np.random.Generator, layout: Layout, largest_coc_px: float) -> FloatMap:
    """Signed circle of confusion [px] over the scene: mostly focused at its near end, as a user is told to.

    Where the scene has a size, mostly that of a real lens: near and far surfaces are then as much apart in blur as a
    camera shows them. Else every band of 5 px up to 45 px gets at least 7 % of the pixels (test/datasets/generated).
    """
    if layout.dioptres is not None and rng.random() < LENS_SHARE:
        nearest, farthest = _blur_of_lens(rng, layout.dioptres, largest_coc_px)
    else:
        nearest, farthest = _any_blur(rng, largest_coc_px)
    return (farthest + (nearest - farthest) * layout.nearness).astype(np.float32)


def _blur_of_lens(rng: np.random.Generator, dioptres: Ends, largest_coc_px: float) -> Ends:
    """Signed blur [px] of the nearest and the farthest point, for a lens focused before the scene or within it."""
    low, high = dioptres
    gain = float(np.exp(rng.uniform(np.log(6), np.log(36))))
    draw = rng.random()
    if draw < 0.35:
        focus = high * rng.uniform(0.85, 1.4)
    elif draw < 0.85:
        focus = max(rng.uniform(1.0, 2.0), 0.9 * high)
    else:
        focus = rng.uniform(low, high)
    curve = DefocusCurve(gain_px_per_dioptre=gain, focus_distance_m=1 / focus)
    nearest, farthest = curve.signed_coc_px(1 / np.array([high, low])).tolist()
    shrink = min(1.0, largest_coc_px / max(abs(farthest), abs(nearest), 1e-6))
    return nearest * shrink, farthest * shrink


def _any_blur(rng: np.random.Generator, largest_coc_px: float) -> Ends:
    """Signed blur [px] of the nearest and the farthest point."""
    draw = rng.random()
    if draw < 0.06:
        nearest, farthest = np.sort(rng.uniform(-0.7, 0.7, 2))
    elif draw < 0.30:
        # A weak lens, or a shallow scene near focus.
        nearest = max(rng.normal(1.0, 2.0), -3.0)
        farthest = nearest + rng.uniform(1.0, 14.0)
    elif draw < 0.55:
        # A strong lens focused at the near end.
        nearest = max(rng.normal(1.5, 3.0), -4.0)
        farthest = rng.uniform(min(max(nearest, 8.0), largest_coc_px), largest_coc_px)
    elif draw < 0.88:
        # Everything is far from focus.
        middle, reach = rng.uniform(0.3, 1.05) * largest_coc_px, rng.uniform(0.5, 12.0)
        nearest, farthest = max(middle - reach, 0.0), min(middle + reach, largest_coc_px)
    elif draw < 0.95:
        farthest = max(-max(rng.normal(1.0, 3.0), -3.0), -0.9 * largest_coc_px)
        nearest = rng.uniform(-largest_coc_px, farthest)
    else:
        nearest, farthest = -rng.uniform(0, 0.6 * largest_coc_px), rng.uniform(0, 0.6 * largest_coc_px)
    nearest, farthest = np.clip((nearest, farthest), -largest_coc_px, largest_coc_px)
    return float(nearest), float(farthest)


def soften_source(rng: np.random.Generator, image: FloatMap) -> tuple[FloatMap, float]:
    """The source as a lens in focus and a scaled sensor leave it, and the variance sigma^2 [px^2] that this adds.

    A Gaussian adds s^2; a resize to the share f and back about 0.25 / f^2 - 0.05 (measured: the area average and
    the linear interpolation of the project); unsharp masking of gain g and width s about -g s^2.
    """
    variance_px2 = 0.0
    draw = rng.random()
    if draw < 0.55:
        sigma_px = rng.uniform(0.2, 1.0)
        image = cv2.GaussianBlur(image, (0, 0), sigma_px)
        variance_px2 += sigma_px**2
    elif draw < 0.70:
        scale = rng.uniform(0.5, 0.95)
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        variance_px2 += 0.25 / scale**2 - 0.05
    if rng.random() < 0.1:
        width_px, gain = rng.uniform(0.6, 1.2), rng.uniform(0.2, 0.8)
        image = unsharp_masked(image, width_px, gain)
        variance_px2 -= gain * width_px**2
    if rng.random() < 0.2:
        compressed = jpeg_round_trip(uint8_from_encoded(image), int(rng.integers(70, 97)))
        image = compressed.astype(np.float32) / np.float32(255)
    return np.clip(image, 0, 1), variance_px2


def unsharp_masked(image: FloatMap, width_px: float, gain: float) -> FloatMap:
    """What a Gaussian of sigma `width_px` takes from an image, added to it `gain` times."""
    return image + np.float32(gain) * (image - cv2.GaussianBlur(image, (0, 0), width_px))


def random_point_spread(rng: np.random.Generator) -> PointSpread:
    """Mostly a disk; also soft or bright rims (spherical aberration), blades, ovals, Gaussians.

    The shape differs over a real field (vignetting makes it oval, astigmatism stretches it): a crop sees one of them.
    """
    draw = rng.random()
    if draw < 0.12:
        exponent = 2.0
    elif draw < 0.65:
        exponent = float("inf")
    else:
        exponent = float(np.exp(rng.uniform(np.log(2), np.log(32))))
    hard = exponent > 8
    return PointSpread(
        exponent=exponent,
        blades=int(rng.integers(5, 10)) if hard and rng.random() < 0.3 else 0,
        rotation_rad=float(rng.uniform(0, 2 * np.pi)),
        squeeze=float(np.exp(rng.normal(0, 0.03 if rng.random() < 0.7 else 0.12))),
        rim=float(rng.uniform(-0.6, 0.8)) if hard and rng.random() < 0.3 else 0.0,
    )


def _with_highlights(rng: np.random.Generator, light: FloatMap) -> FloatMap:
    """A few points brighter than white, as lamps and glints are: defocused, they show the shape of the aperture."""
    light = light.copy()
    height, width = light.shape[:2]
    for _ in range(rng.integers(1, 12)):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        brightness = float(np.exp(rng.uniform(np.log(1.5), np.log(30))))
        colour = (brightness * rng.uniform(0.6, 1.0, 3)).tolist()
        cv2.circle(light, centre, int(rng.integers(1, 3)), colour, -1)
    return light
