# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How near a deblurred image comes to the all-in-focus one: PSNR and SSIM, of the whole or of a masked part."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.size import Size
from dfd_perception.errors import ImageError

NAN = float("nan")
SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5

ImageArray = NDArray[np.uint8] | NDArray[np.floating]


class DeblurMetrics(NamedTuple):
    """Of the deblurred image and, for comparison, of the defocused input.

    psnr_db: 10 log10(range^2 / mean squared error); inf for equal images.
    ssim: mean structural similarity (Wang et al. 2004, C1 = (0.01 range)^2, C2 = (0.03 range)^2), 11 x 11 Gaussian
        window of sigma 1.5 px, windows within image and mask only; mean over the channels.
    """

    psnr_db: float = NAN
    ssim: float = NAN
    input_psnr_db: float = NAN
    input_ssim: float = NAN


class DeblurAccumulator:
    """Streaming over images of one type: uint8, or floats from 0 to 1."""

    def __init__(self) -> None:
        self._sums = np.zeros((2, 4))
        self._range = NAN

    def update(
        self,
        prediction: ImageArray,
        target: ImageArray,
        defocused: ImageArray | None = None,
        mask: NDArray[np.bool_] | None = None,
    ) -> DeblurMetrics:
        """Take in one image and return its own values."""
        self._range = 255.0 if target.dtype == np.uint8 else 1.0
        values: list[float] = []
        for row, image in enumerate((prediction, defocused)):
            if image is None:
                continue
            sums = (*_squared_error(image, target, mask), *_ssim_sum(image, target, mask, self._range))
            self._sums[row] += sums
            values += _pair(np.asarray(sums), self._range)
        return DeblurMetrics(*values)

    def pooled(self) -> DeblurMetrics:
        """PSNR of the mean squared error of all pixels; SSIM over all windows of the set."""
        return DeblurMetrics(*_pair(self._sums[0], self._range), *_pair(self._sums[1], self._range))


def _pair(sums: NDArray[np.float64], data_range: float) -> list[float]:
    squared, pixels, similarity, windows = (float(value) for value in sums)
    return [_psnr(squared, pixels, data_range), similarity / windows if windows else NAN]


def _psnr(squared: float, count: float, data_range: float) -> float:
    if count == 0:
        return NAN
    return float("inf") if squared == 0 else float(10 * np.log10(data_range**2 * count / squared))


def _channels(image: ImageArray) -> NDArray[np.float64]:
    return np.atleast_3d(image).astype(np.float64)


def _squared_error(prediction: ImageArray, target: ImageArray, mask: NDArray[np.bool_] | None) -> tuple[float, int]:
    if prediction.shape != target.shape or prediction.dtype.kind != target.dtype.kind:
        raise ImageError(
            f"images are {prediction.dtype} {prediction.shape} and {target.dtype} {target.shape}; "
            "they must have the same size and scale"
        )
    difference = _channels(prediction) - _channels(target)
    if mask is not None:
        difference = difference[mask]
    return float((difference**2).sum()), difference.size


def _ssim_sum(
    prediction: ImageArray, target: ImageArray, mask: NDArray[np.bool_] | None, data_range: float
) -> tuple[float, int]:
    x, y = _channels(prediction), _channels(target)
    if mask is not None:
        # What does not count may be anything, NaN too: no window that counts reaches it.
        x, y = np.where(mask[..., None], x, 0), np.where(mask[..., None], y, 0)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x, variance_y = _window_mean(x * x) - mean_x**2, _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    windows = complete_windows(x.shape[:2], mask)
    return float(similarity[windows].sum()), int(windows.sum()) * x.shape[2]


def _window_mean(channels: NDArray[np.float64]) -> NDArray[np.float64]:
    size = (SSIM_WINDOW_PX, SSIM_WINDOW_PX)
    return np.atleast_3d(cv2.GaussianBlur(channels, size, SSIM_SIGMA_PX, borderType=cv2.BORDER_REFLECT_101))


def complete_windows(size: Size, mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Centres of the windows that lie within the image and the mask."""
    inside = np.ones(size, np.uint8) if mask is None else mask.astype(np.uint8)
    box = np.ones((SSIM_WINDOW_PX, SSIM_WINDOW_PX), np.uint8)
    return cv2.erode(inside, box, borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(bool)
