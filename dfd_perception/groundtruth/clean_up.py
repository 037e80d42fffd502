# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The steps from recorded frames to training data (thesis chapter 4, after Qiu et al.), each on its own.

Order: denoise over time, register (core/registration.py), inpaint (optional), crop, normalise (optional). Two steps
differ from the reference code on purpose. Inpainted pixels are marked, so that nobody scores against invented depth.
And both images of a pair are normalised by the same map: stretching each by itself would give the network a
difference in brightness to learn where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.holes import filled_from_nearest
from dfd_perception.errors import ConfigError, ImageError

SAME_SURFACE = 0.06
"""Neighbours whose depths differ by less than this part lie on one surface."""

RELAXATIONS = 200
"""A hole of 30 px is smooth to a millimetre."""

EXPOSURE_BLUR_PX = 8.0
FEWEST_EXPOSURE_PIXELS = 1000
CUT_FRACTION = 0.001
"""Part of the values that may clip at either end of a stretched pair."""


@dataclass(frozen=True, kw_only=True)
class PreprocessingRecipe:
    """Which steps run. The defaults change nothing."""

    denoise_frames: int = 1
    """Depth frames of a camera at rest whose mode becomes one (the thesis took 40); 1 = every frame by itself."""
    inpaint_up_to_px: int = 0
    """Holes up to this area [px] are filled; 0 = none, -1 = all."""
    crop: tuple[int, int, int, int] | None = None
    """Window x, y, width, height [px] of the registered images."""
    normalise: bool = False
    """Stretch both images of a pair by one map to the whole range."""

    def __post_init__(self) -> None:
        if self.denoise_frames < 1:
            raise ConfigError(f"denoise_frames is {self.denoise_frames}; expected 1 (off) or more")
        if self.inpaint_up_to_px < -1:
            raise ConfigError(f"inpaint_up_to_px is {self.inpaint_up_to_px}; expected -1 (all), 0 (none) or an area")


def temporal_mode(depth_NHW_mm: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The most frequent depth of every pixel over time.

    Args:
        depth_NHW_mm: (N, H, W) uint16 [mm], 0 where there is no depth; the camera at rest.

    Returns:
        (H, W) uint16: 0 where at most half of the frames have a depth, else the mode of those that do (of several, the
        nearest).

    Convention: depths 0, 1500, 1500, 1501, 900 give 1500; 0, 0, 1500 give 0.
    """
    if depth_NHW_mm.ndim != 3 or depth_NHW_mm.dtype != np.uint16:
        raise ImageError(f"frames are {depth_NHW_mm.dtype} {depth_NHW_mm.shape}; expected uint16 (N, H, W)")
    count = len(depth_NHW_mm)
    ordered = np.sort(depth_NHW_mm, axis=0)
    mode = np.zeros(ordered.shape[1:], np.uint16)
    run = np.zeros(ordered.shape[1:], np.int32)
    longest = np.zeros_like(run)
    previous = mode
    for values in ordered:
        run = np.where(values == previous, run + 1, 1)
        longer = (run > longest) & (values > 0)
        mode = np.where(longer, values, mode)
        longest = np.where(longer, run, longest)
        previous = values
    valid = np.count_nonzero(ordered, axis=0)
    return np.where(2 * valid > count, mode, 0).astype(np.uint16)


class InpaintedDepth(NamedTuple):
    """(H, W) uint16 [mm], and (H, W) bool: True where a sensor measured it."""

    depth_mm: NDArray[np.uint16]
    measured: NDArray[np.bool_]


def inpaint_depth(depth_mm: NDArray[np.uint16], up_to_px: int = -1) -> InpaintedDepth:
    """Fill holes from their borders, without mixing the depths of two surfaces.

    Every pixel begins with its nearest measured depth, which belongs to one surface. Then each takes the mean of those
    neighbours that are of its own surface, again and again: within a surface the border's depths are joined smoothly
    (a harmonic function), and a step stays a step.

    Args:
        depth_mm: (H, W) uint16 [mm], 0 where there is none.
        up_to_px: only holes of at most this area; -1 = all.
    """
    hole = (depth_mm == 0).astype(np.uint8)
    measured = hole == 0
    if up_to_px >= 0:
        _, labels, statistics, _ = cv2.connectedComponentsWithStats(hole, connectivity=4)
        small = statistics[:, cv2.CC_STAT_AREA] <= up_to_px
        small[0] = False  # label 0 is what is no hole
        hole = small[labels].astype(np.uint8)
    if not measured.any() or not hole.any():
        return InpaintedDepth(depth_mm.copy(), measured)
    nearest = filled_from_nearest(depth_mm, measured)
    filled = _relaxed(np.where(hole > 0, nearest, depth_mm), hole > 0)
    return InpaintedDepth(np.where(hole > 0, np.rint(filled).astype(np.uint16), depth_mm), measured)


def _relaxed(depth_mm: NDArray[np.uint16], hole: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Means over neighbours of the same surface, within the hole."""
    height, width = depth_mm.shape
    values = depth_mm.astype(np.float32).reshape(-1)
    places = np.flatnonzero(hole)
    rows, columns = np.divmod(places, width)
    steps = ((rows > 0, -width), (rows < height - 1, width), (columns > 0, -1), (columns < width - 1, 1))
    neighbours = np.stack([places + np.where(inside, step, 0) for inside, step in steps])
    inside = np.stack([inside for inside, _ in steps])
    for _ in range(RELAXATIONS):
        own, around = values[places], values[neighbours]
        joined = inside & (around > 0) & (np.abs(around - own) <= SAME_SURFACE * own)
        count = joined.sum(0)
        mean = np.where(joined, around, 0).sum(0) / np.maximum(count, 1)
        values[places] = np.where(count > 0, mean, own)
    return values.reshape(height, width)


def crop(images: dict[str, NDArray], window: tuple[int, int, int, int]) -> dict[str, NDArray]:
    """The same window (x, y, width, height) [px] of every image; `CameraIntrinsics.cropped` is the camera of it."""
    x, y, width, height = window
    return {name: image[y : y + height, x : x + width] for name, image in images.items()}


def normalise_pair(defocused: NDArray[np.uint8], aif: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Stretch both images by one and the same map, from their common darkest and brightest values.

    Args:
        defocused, aif: (H, W, 3) uint8 of one scene, exposed alike.
    """
    if defocused.shape != aif.shape:
        raise ImageError(f"images of a pair are {defocused.shape} and {aif.shape}; they must be alike")
    counts = np.bincount(defocused.ravel(), minlength=256) + np.bincount(aif.ravel(), minlength=256)
    below = np.cumsum(counts) / counts.sum()
    low = int(np.searchsorted(below, CUT_FRACTION))
    high = int(np.searchsorted(below, 1 - CUT_FRACTION))
    if high <= low:
        return defocused, aif
    table = np.clip(np.rint((np.arange(256) - low) * (255 / (high - low))), 0, 255).astype(np.uint8)
    return table[defocused], table[aif]


def match_exposure(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], visible: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """An image of another camera with the exposure and white balance of the reference, defocused or not.

    One gain and one offset for each colour, fitted on what both show. Both are blurred for the fit, so that the
    difference in sharpness plays no part.

    Args:
        image: (H, W, 3) uint8 RGB, registered to the reference.
        reference: (H, W, 3) uint8 RGB.
        visible: (H, W) where `image` shows something.
    """
    weight = cv2.GaussianBlur(visible.astype(np.float32), (0, 0), EXPOSURE_BLUR_PX)
    used = visible & (weight > 0.9)
    if np.count_nonzero(used) < FEWEST_EXPOSURE_PIXELS:
        return image
    smooth = cv2.GaussianBlur(np.where(visible[..., None], image, 0).astype(np.float32), (0, 0), EXPOSURE_BLUR_PX)
    smooth /= np.maximum(weight, 1e-3)[..., None]
    wanted = cv2.GaussianBlur(reference.astype(np.float32), (0, 0), EXPOSURE_BLUR_PX)
    matched = np.empty_like(image)
    for channel in range(3):
        gain, offset = np.polyfit(smooth[used][:, channel], wanted[used][:, channel], 1)
        table = np.clip(np.rint(gain * np.arange(256) + offset), 0, 255).astype(np.uint8)
        matched[..., channel] = table[image[..., channel]]
    return matched


def movement_px(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """How far two images of one scene are displaced [px], to about a pixel even if one is defocused.

    By phase correlation, for the check between the two images of a static pair: (H, W, 3) uint8 RGB, of one size.
    """
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in (first, second)]
    if grey[0].shape != grey[1].shape:
        raise ImageError(f"images are {first.shape} and {second.shape}; they must be of one size")
    # Both are blurred to what the defocused one still shows, and gradients do not see a change of exposure.
    grey = [cv2.GaussianBlur(image, (0, 0), 3) for image in grey]
    grey = [np.hypot(cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)) for image in grey]
    window = cv2.createHanningWindow(grey[0].shape[::-1], cv2.CV_32F)
    (dx, dy), _ = cv2.phaseCorrelate(grey[0], grey[1], window)
    return float(np.hypot(dx, dy))
