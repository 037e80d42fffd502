# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Steerable pyramid of Simoncelli & Freeman (ICIP 1995), built in the Fourier domain.

Written out because the library that has it (pyrtools) ships no wheel for ARM boards and pulls in a plotting
stack. The test compares its sub-band energies with those of pyrtools.
"""

from __future__ import annotations

from math import factorial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
