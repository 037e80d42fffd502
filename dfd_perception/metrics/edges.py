# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Edge divergence of thesis chapter 2: histograms of steerable sub-bands, compared by Kullback-Leibler (2.1, 2.2).

What the thesis leaves open is fixed here:
* 2 scales, 4 orientations, K = 8 sub-bands, D0 = 10, natural logarithm in 2.1, log2 in 2.2.
* Bins: L = 256 of equal width, from the least to the greatest value of the true sub-band, widened by half of that
  range to either side; what the estimate has beyond falls into the first or last bin.
* Empty bins: half a count is added to every bin of both histograms, so each term is finite and equal
  maps give exactly 0.
* Holes: pixels where either map is invalid are filled with the nearest valid value for the transform, and
  their coefficients are left out of the histograms.
The published values of 7e3 to 9e3 cannot come from equation 2.2 (they would need a sum of about 2^7000), so they
are no reference for these.

The steerable pyramid is that of Simoncelli & Freeman (ICIP 1995), built in the Fourier domain. It is written out
because the library that has it (pyrtools) ships no wheel for ARM boards and pulls in a plotting stack. The test
compares its sub-band energies with those of pyrtools.
"""

from __future__ import annotations

from math import factorial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.holes import filled_from_nearest
from dfd_perception.errors import ImageError

Plane = NDArray[np.float64]
Spectrum = NDArray[np.complex128]


class SteerablePyramid(NamedTuple):
    """highpass (H, W); bands[level][orientation], each level half the size of the one before; lowpass."""

    highpass: Plane
    bands: list[list[Plane]]
    lowpass: Plane


def build_pyramid(image: Plane, levels: int = 2, orientations: int = 4) -> SteerablePyramid:
    """Decompose (H, W) of any size; borders wrap round. Orientation 0 answers to steps along x."""
    radius, angle = _polar(image.shape)
    spectrum = np.fft.fftshift(np.fft.fft2(image))
    highpass = _plane(spectrum * _high(radius, 0))
    low = spectrum * _low(radius, 0)
    bands = []
    for level in range(1, levels + 1):
        high = _high(radius, level)
        phase = (-1j) ** (orientations - 1)
        bands.append([_plane(phase * low * high * _steer(angle, k, orientations)) for k in range(orientations)])
        centre = _centre(low.shape)
        radius, angle = radius[centre], angle[centre]
        low = low[centre] * _low(radius, level)
    return SteerablePyramid(highpass, bands, _plane(low))


def _plane(spectrum: Spectrum) -> Plane:
    return np.fft.ifft2(np.fft.ifftshift(spectrum)).real


def _polar(shape: tuple[int, ...]) -> tuple[Plane, Plane]:
    """log2 of the frequency over Nyquist, and its direction; zero frequency in the middle."""
    y, x = ((np.arange(n) - n // 2) / (n / 2) for n in shape)
    radius = np.hypot(y[:, None], x[None, :])
    radius[shape[0] // 2, shape[1] // 2] = 1e-9
    return np.log2(radius), np.arctan2(y[:, None], x[None, :])


def _high(radius: Plane, octave: int) -> Plane:
    """Rises over the octave that ends `octave` octaves below Nyquist: squares of high and low add to one."""
    return np.sin(np.pi / 2 * np.clip(radius + octave + 1, 0, 1))


def _low(radius: Plane, octave: int) -> Plane:
    return np.cos(np.pi / 2 * np.clip(radius + octave + 1, 0, 1))


def _steer(angle: Plane, k: int, orientations: int) -> Plane:
    order = orientations - 1
    norm = 2 ** (2 * order) * factorial(order) ** 2 / (orientations * factorial(2 * order))
    return np.sqrt(norm) * np.cos(angle - np.pi * k / orientations) ** order


def _centre(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The lower half of the frequencies, zero frequency in the middle of both."""
    starts = [n // 2 - ((n + 1) // 2) // 2 for n in shape]
    rows, columns = (slice(start, start + (n + 1) // 2) for start, n in zip(starts, shape, strict=True))
    return rows, columns


LEVELS = 2
ORIENTATIONS = 4
BINS = 256
RANGE_MARGIN = 0.5
BIN_PRIOR = 0.5
DISTORTION_SCALE = 10.0
"""D0 of equation 2.2."""


def edge_divergence(prediction_m: NDArray[np.floating], target_m: NDArray[np.floating]) -> float:
    """Equation 2.2 of two depth maps (H, W) [m]: 0 for equal ones, larger the more their edges differ.

    Raises:
        ImageError: the shapes differ.
    """
    if prediction_m.shape != target_m.shape:
        raise ImageError(f"prediction is {prediction_m.shape}, truth {target_m.shape}; resize one of them first")
    valid = np.isfinite(prediction_m) & np.isfinite(target_m)
    if not valid.any():
        return float("nan")
    bands_p = build_pyramid(filled_from_nearest(prediction_m.astype(np.float64), valid), LEVELS, ORIENTATIONS).bands
    bands_t = build_pyramid(filled_from_nearest(target_m.astype(np.float64), valid), LEVELS, ORIENTATIONS).bands
    total = 0.0
    for level in range(LEVELS):
        height, width = bands_t[level][0].shape
        # INTER_NEAREST: a coefficient counts where the pixel it lies on is valid.
        keep = cv2.resize(valid.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
        for band_p, band_t in zip(bands_p[level], bands_t[level], strict=True):
            total += abs(histogram_divergence(band_p[keep], band_t[keep]))
    return float(np.log2(1 + total / DISTORTION_SCALE))


def histogram_divergence(prediction: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Equation 2.1 with the bins and the prior of this module: sum h_t ln(h_t / h_p)."""
    if target.size == 0:
        return 0.0
    low, high = float(target.min()), float(target.max())
    margin = RANGE_MARGIN * (high - low) + 1e-9
    edges = np.linspace(low - margin, high + margin, BINS + 1)
    heights = []
    for values in (target, prediction):
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        heights.append((counts + BIN_PRIOR) / (values.size + BINS * BIN_PRIOR))
    return float(np.sum(heights[0] * np.log(heights[0] / heights[1])))
