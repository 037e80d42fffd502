# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Lays the small-aperture image of a pair on the wide one: geometry by ECC, then exposure.

Changing the aperture moves the camera a little and changes the exposure. Shifts of up to 5.6 px were measured on DSLR
pairs that count as aligned; deblurring figures mean nothing before they are taken out.

Source: Evangelidis & Psarakis, IEEE PAMI 30(10), 2008 (enhanced correlation coefficient).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.sensor import encoded_from_linear, linear_from_encoded, uint8_from_encoded
from dfd_perception.errors import DatasetError

SMOOTHING_PX = 3.0
"""Sigma of the Gaussian that both images get: the blur of the wide aperture no longer counts as a difference."""

LEAST_CORRELATION = 0.75
"""Below this the two images do not show one scene. Aligned DSLR pairs reach 0.97 and more."""

LARGEST_SHIFT = 0.05
"""Of the image's width: a camera that stood still moves less."""

LEAST_DETAIL = 0.01
"""Standard deviation of the smoothed log image about its own shading: 1 % of the light; less is a plain wall."""

LOG_FLOOR = 0.02
"""Added to light before the logarithm, so that noise in the dark does not count."""


@dataclass(frozen=True, kw_only=True)
class AlignedPair:
    """The small-aperture image as it would look from where the wide one was taken.

    narrow: (H, W, 3) float32, linear light, in the wide image's exposure.
    valid: (H, W), where it is known; False along borders that the warp uncovers.
    shift_px: largest displacement of a corner [px].
    correlation: of the smoothed log images after alignment, 1 at best.
    gain: light of the wide image over that of the narrow one, by channel.
    """

    narrow: NDArray[np.float32]
    valid: NDArray[np.bool_]
    shift_px: float
    correlation: float
    gain: tuple[float, float, float]

    def narrow_rgb(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        return uint8_from_encoded(encoded_from_linear(self.narrow))


def align_pair(wide_rgb: NDArray[np.uint8], narrow_rgb: NDArray[np.uint8], name: str = "pair") -> AlignedPair:
    """Align the narrow image to the wide one.

    Args:
        wide_rgb: (H, W, 3) uint8 RGB at the wide aperture.
        narrow_rgb: the same scene at the small one, the same size.
        name: of the pair, for errors.

    Raises:
        DatasetError: another size, no texture to align by, or two different scenes.
    """
    if wide_rgb.shape != narrow_rgb.shape:
        raise DatasetError(
            f"{name}: the wide image is {wide_rgb.shape[1]} x {wide_rgb.shape[0]} px, the small-aperture one "
            f"{narrow_rgb.shape[1]} x {narrow_rgb.shape[0]}; a pair must have one size"
        )
    wide, narrow = (linear_from_encoded(image.astype(np.float32) / 255) for image in (wide_rgb, narrow_rgb))
    log_wide, log_narrow = _smoothed_log(wide), _smoothed_log(narrow)
    if min(_detail(log_wide), _detail(log_narrow)) < LEAST_DETAIL:
        raise DatasetError(f"{name}: a scene without texture, nothing to align by; photograph something with detail")
    warp, correlation = _affine(log_wide, log_narrow, name)
    height, width = wide.shape[:2]
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float)
    shift_px = float(np.linalg.norm(corners @ warp.T - corners[:, :2], axis=1).max())
    if correlation < LEAST_CORRELATION or shift_px > LARGEST_SHIFT * width:
        raise DatasetError(
            f"{name}: the two images do not show one scene (correlation {correlation:.2f} after alignment, corners "
            f"moved {shift_px:.1f} px; expected at least {LEAST_CORRELATION} and at most "
            f"{LARGEST_SHIFT * width:.0f} px); pair images of one scene from one place"
        )
    flags = cv2.WARP_INVERSE_MAP
    size = (width, height)
    # Not cubic: that of OpenCV (a = -0.75) sharpens, which the reference would take for 1.1 px more blur.
    moved = cv2.warpAffine(narrow, warp, size, flags=cv2.INTER_LANCZOS4 | flags, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones((height, width), np.uint8), warp, size, flags=cv2.INTER_NEAREST | flags)
    valid = cv2.erode(inside, np.ones((7, 7), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1) > 0
    gain = _exposure_gain(wide, moved, valid)
    matched = np.clip(moved * np.asarray(gain, np.float32), 0, 1)
    return AlignedPair(narrow=matched, valid=valid, shift_px=shift_px, correlation=correlation, gain=gain)


def _detail(log_light: NDArray[np.float32]) -> float:
    """Standard deviation of what is finer than a shading."""
    fine = log_light - cv2.GaussianBlur(log_light, (0, 0), 5 * SMOOTHING_PX)
    return float(fine.std())


def _smoothed_log(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    grey = cv2.GaussianBlur(linear.mean(2), (0, 0), SMOOTHING_PX)
    return np.log(grey + np.float32(LOG_FLOOR))


def _affine(template: NDArray[np.float32], image: NDArray[np.float32], name: str) -> tuple[NDArray[np.float32], float]:
    """2x3 map from the template's pixels to the image's, and the correlation reached."""
    warp = np.eye(2, 3, dtype=np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)
    try:
        correlation, refined = cv2.findTransformECC(template, image, warp, cv2.MOTION_AFFINE, criteria, None, 1)
    except cv2.error as error:
        raise DatasetError(
            f"{name}: the two images cannot be aligned, they do not show one scene; pair images of one scene from "
            "one place"
        ) from error
    return np.asarray(refined, np.float32), float(correlation)


def _exposure_gain(
    wide: NDArray[np.float32], narrow: NDArray[np.float32], valid: NDArray[np.bool_]
) -> tuple[float, float, float]:
    """Median ratio of light by channel, where neither image is dark or clipped; smoothed, so that blur cancels."""
    smooth_wide = cv2.GaussianBlur(wide, (0, 0), 2 * SMOOTHING_PX)
    smooth_narrow = cv2.GaussianBlur(narrow, (0, 0), 2 * SMOOTHING_PX)
    gains = []
    for channel in range(3):
        a, b = smooth_wide[..., channel], smooth_narrow[..., channel]
        usable = valid & (a > 0.02) & (a < 0.9) & (b > 0.01) & (b < 0.9)
        gains.append(float(np.median(a[usable] / b[usable])) if np.count_nonzero(usable) > 100 else 1.0)
    return gains[0], gains[1], gains[2]
