# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What any meter could reach: a Cramer-Rao type bound of the blur diameter, from the Fisher information of a patch.

Texture: a patch of n x n pixels of a stationary Gaussian random texture, power spectrum

    S(f) = a^2 (f / f0)^(-2 s) |H(f; c, m)|^2 exp(-4 pi^2 sigma^2 f^2) + v

with H the transfer function of a disk of diameter c mixed (by m) with a Gaussian of the same second moment, and sigma
the softness of what was photographed. Unknown beside c: contrast a, noise v, slope s, mix m, softness sigma, the
last three within the stated priors. Whittle's form of the information: 1/2 n^2 times the integral over frequency of
(d ln S / d theta_i) (d ln S / d theta_j).

Edge: n rows of a step of unknown place, height, level, blur, mix and softness in white noise; the information is the
sum over pixels of the products of derivatives over the variance of the noise.

Sources: Rajagopalan & Chaudhuri, IJCV 30, 1998; Trouve-Peloux et al., JOSA A 31(12) 2650, 2014 (bounds of depth from
defocus); Whittle 1953 (the information of a stationary process).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PATCH_PX = 21
GRID = 84
"""Frequencies a side on which the integral is taken: four for each of the patch."""

SOFTNESS_PX = 0.5
"""Sigma of the pattern before the lens: a pixel and a good lens in focus."""

EDGE_HALF_WIDTH_PX = 40
SAMPLES_PER_PX = 8
BESSEL_STEPS = 64


@dataclass(frozen=True, kw_only=True)
class Priors:
    """What is known beforehand, as standard deviations.

    softness_px: of sigma; 0.35 for an unknown camera, 0.03 for one with a calibrated blur floor.
    mix: of the share of the Gaussian in the point spread.
    slope: of the exponent of the texture's spectrum.
    """

    softness_px: float = 0.35
    mix: float = 0.5
    slope: float = 0.2


def texture_bound_px(
    coc_px: float, contrast_over_noise_db: float, priors: Priors | None = None, patch_px: int = PATCH_PX
) -> float:
    """Least standard deviation of the diameter [px] in a patch of 1/f texture.

    Args:
        coc_px: true diameter.
        contrast_over_noise_db: 20 log10 of the sharp texture's standard deviation over the noise's.
        priors: what is known beforehand.
        patch_px: side of the patch.
    """
    priors = priors or Priors()
    axis = np.fft.fftfreq(GRID)
    # The spectrum is round: equal frequencies are taken once, with their number as weight.
    frequency, count = np.unique(np.hypot(axis[:, None], axis[None]).round(9), return_counts=True)
    # A patch knows nothing of waves longer than itself.
    known = frequency >= 1 / patch_px
    frequency, count = frequency[known], count[known]
    power_of_unit = np.average(frequency**-2.0, weights=count)

    def log_spectrum(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        coc, log_contrast, log_noise, slope, mix, softness = theta
        transfer = _transfer(frequency, coc, mix) * np.exp(-2 * np.pi**2 * softness**2 * frequency**2)
        texture = np.exp(2 * log_contrast) * frequency ** (-2 * slope) / power_of_unit * transfer**2
        return np.log(texture + np.exp(2 * log_noise))

    noise = -contrast_over_noise_db / 20 * math.log(10)
    theta = np.array([coc_px, 0.0, noise, 1.0, 0.1, SOFTNESS_PX])
    steps = np.array([0.02, 1e-4, 1e-4, 1e-4, 1e-3, 1e-3])
    jacobian = _derivatives(log_spectrum, theta, steps)
    information = 0.5 * (jacobian * count) @ jacobian.T * (patch_px / GRID) ** 2
    information[3:, 3:] += np.diag([priors.slope**-2, priors.mix**-2, priors.softness_px**-2])
    return float(np.sqrt(np.linalg.inv(information)[0, 0]))


def edge_bound_px(coc_px: float, contrast_over_noise_db: float) -> float:
    """Least standard deviation of the diameter [px] from one straight edge, which crosses PATCH_PX rows.

    Args:
        coc_px: true diameter.
        contrast_over_noise_db: 20 log10 of the step over the noise's standard deviation.
    """
    priors = Priors()
    pixels = np.arange(-EDGE_HALF_WIDTH_PX, EDGE_HALF_WIDTH_PX + 1, dtype=np.float64)

    def profile(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        coc, place, height, level, mix, softness = theta
        return level + height * _edge(pixels - place, coc, mix, softness)

    theta = np.array([coc_px, 0.0, 1.0, 0.0, 0.1, SOFTNESS_PX])
    steps = np.array([0.05, 1e-2, 1e-3, 1e-3, 1e-2, 1e-2])
    jacobian = _derivatives(profile, theta, steps)
    information = PATCH_PX * jacobian @ jacobian.T * 10 ** (contrast_over_noise_db / 10)
    information[4:, 4:] += np.diag([priors.mix**-2, priors.softness_px**-2])
    return float(np.sqrt(np.linalg.inv(information)[0, 0]))


def _derivatives(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    theta: NDArray[np.float64],
    steps: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Central differences, one row a parameter."""
    rows = []
    for i, step in enumerate(steps):
        offset = np.zeros_like(theta)
        offset[i] = step
        rows.append((function(theta + offset) - function(theta - offset)) / (2 * step))
    return np.array(rows)


def _transfer(frequency: NDArray[np.float64], coc_px: float, mix: float) -> NDArray[np.float64]:
    """Disk and Gaussian of one second moment, mixed."""
    disk = _jinc(np.pi * frequency * coc_px)
    gaussian = np.exp(-2 * np.pi**2 * (coc_px / 4) ** 2 * frequency**2)
    return (1 - mix) * disk + mix * gaussian


def _jinc(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """2 J1(x) / x, by Bessel's integral: 2/pi times the integral of cos(x cos t) sin^2 t over 0..pi."""
    angle = (np.arange(BESSEL_STEPS) + 0.5) * np.pi / BESSEL_STEPS
    return np.asarray(2 / BESSEL_STEPS * (np.cos(np.outer(x, np.cos(angle))) @ np.sin(angle) ** 2))


def _edge(place: NDArray[np.float64], coc_px: float, mix: float, softness_px: float) -> NDArray[np.float64]:
    """A unit step seen through disk, Gaussian and softness, at pixels; numerically, on a fine grid."""
    fine = np.arange(-64 * SAMPLES_PER_PX, 64 * SAMPLES_PER_PX + 1) / SAMPLES_PER_PX
    radius = coc_px / 2
    # Line spread of a disk, averaged over a sample by differences of its integral.
    edges = np.clip((np.append(fine, fine[-1] + 1 / SAMPLES_PER_PX) - 0.5 / SAMPLES_PER_PX) / radius, -1, 1)
    disk = np.diff(0.5 + (np.arcsin(edges) + edges * np.sqrt(1 - edges**2)) / np.pi)
    gaussian = _gaussian(fine, coc_px / 4)
    line = (1 - mix) * disk + mix * gaussian
    spread = np.convolve(line, _gaussian(fine[np.abs(fine) <= 6], max(softness_px, 0.05)), "same")
    return np.asarray(np.interp(place, fine, np.cumsum(spread) - spread / 2))


def _gaussian(x: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    return np.asarray(weights / weights.sum())
