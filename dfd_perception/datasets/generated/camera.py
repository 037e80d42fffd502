# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From light to stored image: noise, demosaicing, denoising, tone curve, sharpening, compression.

An ordinary camera sharpens after the lens has blurred: a network that never saw it reads 20 to 40 % too little
between 2 and 5 px. The label stays the blur of lens and optics; demosaicing and denoising add their softness to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.sensor import SensorNoise, encoded_from_linear, jpeg_round_trip, uint8_from_encoded
from dfd_perception.datasets.generated.exposure import Exposure, unsharp_masked
from dfd_perception.datasets.sample import DefocusSample

FloatMap = NDArray[np.float32]
ImageFilter = Callable[[FloatMap], FloatMap]

DEMOSAICED_VARIANCE_PX2 = 0.15
"""sigma^2 that bilinear demosaicing adds, averaged over the channels."""


def photograph(rng: np.random.Generator, exposure: Exposure, name: str) -> DefocusSample:
    """The sample that a random camera makes of an exposure: defocused, all-in-focus, total blur [px].

    The all-in-focus image is that of the same camera with everything in focus, without noise and compression. Were it
    not sharpened as the defocused one is, a network would learn to take the sharpening away.
    """
    light = exposure.light
    if rng.random() < 0.8:
        noise = SensorNoise(
            full_well_e=float(np.exp(rng.uniform(np.log(300), np.log(20_000)))),
            read_noise=float(np.exp(rng.uniform(np.log(5e-4), np.log(8e-3)))),
        )
        light = noise.added_to(light, rng)
    curve = _tone_curve(rng)
    encoded = curve(encoded_from_linear(light, exposure.gamma))
    aif = curve(encoded_from_linear(exposure.sharp_light, exposure.gamma))
    variance_px2 = exposure.floor_variance_px2
    if rng.random() < 0.4:
        encoded, aif = _demosaiced(encoded), _demosaiced(aif)
        variance_px2 += DEMOSAICED_VARIANCE_PX2
    denoise = _denoising(rng)
    variance_px2 += denoise.variance_px2
    sharpen = _sharpening(rng)
    defocused = uint8_from_encoded(sharpen(denoise.of_noisy(encoded)))
    if rng.random() < 0.5:
        defocused = jpeg_round_trip(defocused, int(rng.integers(65, 99)))
    # A source that was sharpened more than it was softened has no blur left to take away.
    floor_px = 4 * np.sqrt(max(variance_px2, 0.0))
    return DefocusSample(
        name=name,
        defocused=defocused,
        aif=uint8_from_encoded(sharpen(denoise.of_clean(aif))),
        coc_px=np.hypot(exposure.signed_coc_px, np.float32(floor_px)).astype(np.float32),
    )


def _tone_curve(rng: np.random.Generator) -> Callable[[FloatMap], FloatMap]:
    """Identity, or an S: x -> (1 - k) x + k x^2 (3 - 2 x), sometimes with a shoulder that rolls the highlights off."""
    contrast = np.float32(rng.uniform(0, 0.9)) if rng.random() < 0.6 else np.float32(0)
    shoulder = np.float32(rng.uniform(0.05, 0.6)) if rng.random() < 0.3 else np.float32(0)

    def apply(x: FloatMap) -> FloatMap:
        if shoulder:
            x = x * (1 + shoulder) / (1 + shoulder * x)
        if contrast:
            x = (1 - contrast) * x + contrast * x * x * (3 - 2 * x)
        return x

    return apply


def _demosaiced(image: FloatMap) -> FloatMap:
    rgb = uint8_from_encoded(image)
    mosaic = rgb[..., 1].copy()
    mosaic[::2, ::2] = rgb[::2, ::2, 0]
    mosaic[1::2, 1::2] = rgb[1::2, 1::2, 2]
    # OpenCV names the pattern by its second row and column: RGGB is its "BayerBG".
    return cv2.cvtColor(mosaic, cv2.COLOR_BayerBG2RGB).astype(np.float32) / np.float32(255)


class Denoising(NamedTuple):
    """What a camera does against noise, and the variance [px^2] that this adds to blur."""

    of_noisy: ImageFilter
    of_clean: ImageFilter
    variance_px2: float


def _denoising(rng: np.random.Generator) -> Denoising:
    """As cameras do it: an edge-keeping filter, which would find nothing in a clean image, or a light low-pass."""
    draw = rng.random()
    if draw < 0.15:
        step, width_px = float(rng.uniform(0.01, 0.06)), float(rng.uniform(0.8, 2.0))
        return Denoising(lambda image: cv2.bilateralFilter(image, 5, step, width_px), _unchanged, 0.0)
    if draw < 0.25:
        sigma_px = float(rng.uniform(0.3, 0.7))
        smooth = partial(cv2.GaussianBlur, ksize=(0, 0), sigmaX=sigma_px)
        return Denoising(smooth, smooth, sigma_px**2)
    return Denoising(_unchanged, _unchanged, 0.0)


def _unchanged(image: FloatMap) -> FloatMap:
    return image


def _sharpening(rng: np.random.Generator) -> ImageFilter:
    """Unsharp masking as cameras do it, in two of three images."""
    if rng.random() > 0.65:
        return _unchanged
    width_px, gain = rng.uniform(0.5, 2.5), rng.uniform(0.15, 1.2)
    # Wide and strong at once no camera does.
    gain *= min(1.0, 1.6 / width_px)
    return partial(unsharp_masked, width_px=width_px, gain=gain)
