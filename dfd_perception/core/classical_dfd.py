# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Classical depth from one defocused image: re-blur gradient ratio at edges, spread over the image.

After Zhuo & Sim 2011 (Pattern Recognition 44): at a step edge of Gaussian blur sigma, the gradient shrinks when the
image is blurred once more with sigma_0, by R = sqrt((sigma^2 + sigma_0^2) / sigma^2), whatever the height of the
step. Their matting-based propagation is replaced by a plain one (push and pull over a pyramid). It is
the baseline that a learned model has to beat, kept plain on purpose.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.point_spread import DISK_SIGMA_PER_COC
from dfd_perception.core.sensor import linear_from_encoded

DERIVATIVE_SIGMA_PX = 0.7
OPERATOR_VARIANCE_PX2 = DERIVATIVE_SIGMA_PX**2 + 1 / 3 + 1 / 12
"""Blur of the gradient operator itself, subtracted again: its Gaussian, the central difference (a box of 2 px), and
edges that lie up to half a pixel beside the pixel."""

REBLUR_SIGMA_PX = 1.0
SMALLEST_GRADIENT = 0.005
"""Of white, per pixel: below, noise decides."""

LARGEST_COC_PX = 40.0
COARSER_WEIGHT = 0.01
"""Share of known pixels at which a cell and its coarser neighbourhood count alike."""


def edge_coc_px(image_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Circle of confusion [px] at edges, NaN elsewhere; (H, W) from (H, W, 3) uint8.

    Args:
        image_rgb: image with a display curve; blur is measured in linear light.
    """
    grey = linear_from_encoded(image_rgb.astype(np.float32) / 255) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    sharp = _gradient(grey, DERIVATIVE_SIGMA_PX)
    soft = _gradient(grey, float(np.hypot(DERIVATIVE_SIGMA_PX, REBLUR_SIGMA_PX)))
    ridge = sharp >= cv2.dilate(sharp, np.ones((3, 3), np.uint8)) * 0.95
    usable = ridge & (sharp > SMALLEST_GRADIENT) & (sharp > soft * 1.001)
    ratio = np.where(usable, sharp / np.maximum(soft, 1e-9), np.inf)
    variance = REBLUR_SIGMA_PX**2 / (ratio**2 - 1) - OPERATOR_VARIANCE_PX2
    coc_px = np.sqrt(np.maximum(variance, 0)) / DISK_SIGMA_PER_COC
    return np.where(usable, np.minimum(coc_px, LARGEST_COC_PX), np.nan).astype(np.float32)


def spread(sparse: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill NaN from what is known around it: averages of growing cells, the finest that holds anything wins softly.

    Nothing known at all: NaN everywhere.
    """
    known = np.isfinite(sparse)
    if not known.any():
        return sparse.copy()
    levels = [(np.where(known, sparse, 0).astype(np.float32), known.astype(np.float32))]
    while min(levels[-1][0].shape) > 1:
        levels.append(tuple(cv2.pyrDown(plane) for plane in levels[-1]))
    total, weight = levels[-1]
    filled = np.full_like(total, total.sum() / weight.sum())
    for total, weight in reversed(levels[:-1]):
        above = cv2.resize(filled, (weight.shape[1], weight.shape[0]), interpolation=cv2.INTER_LINEAR)
        # A cell with a few known pixels speaks for itself, an empty one takes the coarser answer.
        trust_above = COARSER_WEIGHT * np.maximum(1 - weight, 0)
        filled = (total + trust_above * above) / (weight + trust_above)
    return filled.astype(np.float32)


def defocus_map_px(image_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Dense circle of confusion [px], (H, W); NaN everywhere for an image without an edge."""
    return spread(edge_coc_px(image_rgb))


def classical_depth_m(
    image_rgb: NDArray[np.uint8], curve: DefocusCurve, max_depth_m: float = float("inf")
) -> NDArray[np.float32]:
    """Depth [m], (H, W), on the curve's side; beyond `max_depth_m` it is held there; NaN without any edge."""
    return np.minimum(curve.depth_m(defocus_map_px(image_rgb)), max_depth_m).astype(np.float32)


def _gradient(grey: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    smooth = cv2.GaussianBlur(grey, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)
    x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
    y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
    return cv2.magnitude(x, y)
