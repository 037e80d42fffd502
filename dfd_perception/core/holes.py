# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Holes of a depth map, where a sensor saw nothing."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.number)


def filled_from_nearest(map_HW: NDArray[Number], known_HW: NDArray[np.bool_]) -> NDArray[Number]:
    """A copy whose unknown pixels take the value of the nearest known one; as it is where nothing is known.

    Args:
        map_HW: (H, W) values of any unit.
        known_HW: (H, W) where they count.

    Returns:
        (H, W) of the same type.
    """
    if known_HW.all() or not known_HW.any():
        return map_HW.copy()
    _, labels = cv2.distanceTransformWithLabels(
        (~known_HW).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    value_of = np.zeros(labels.max() + 1, map_HW.dtype)
    value_of[labels[known_HW]] = map_HW[known_HW]
    return value_of[labels]
