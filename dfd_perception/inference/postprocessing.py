# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From the outputs of a network to maps in the user's units: metres, pixels of the map, uint8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.network_geometry import Geometry
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.prediction import Prediction
from dfd_perception.core.size import Size
from dfd_perception.files.model_folder import ModelFolder

Outputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class DepthLimits:
    """Depth that is not given: outside the range, or too uncertain. It becomes NaN, never a valid distance."""

    min_m: float = 0.0
    max_m: float = float("inf")
    max_rel_std: float = 0.0
    """Largest standard deviation as a fraction of the depth; 0 = any."""

    def apply(self, depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """A copy with what is outside the range, zero or infinite as NaN."""
        nearest = max(self.min_m, float(np.finfo(np.float32).tiny))
        farthest = min(self.max_m, float(np.finfo(np.float32).max))
        valid = depth_m >= nearest
        valid &= depth_m <= farthest
        return np.where(valid, depth_m, np.float32(np.nan))

    def drop_uncertain(self, depth_m: NDArray[np.float32], std_m: NDArray[np.float32]) -> None:
        """Set to NaN, in place, where the standard deviation is too large or not known."""
        if self.max_rel_std > 0:
            unsure = ~(std_m <= self.max_rel_std * depth_m)
            depth_m[unsure] = np.nan
            std_m[unsure] = np.nan


def prediction_of(
    outputs: Outputs,
    geometry: Geometry,
    curve: DefocusCurve | None,
    model: ModelFolder,
    limits: DepthLimits,
    output_size: Size | None = None,
    with_std: bool = True,
) -> Prediction:
    """The maps that a network's outputs stand for.

    Args:
        outputs: by name, each (1, C, H', W'), or `deblurred` as (1, H', W', 3) uint8.
        geometry: how the image sits in the network's input.
        curve: the lens at the image's resolution; without it blur gives no depth.
        model: tells what resizing adds to the blur.
        output_size: of the maps; None = the image's.
        with_std: also standard deviations, half of the work here. Where the limits need them they are computed anyway.
    """
    size = output_size or geometry.image_size
    depth = std = coc = coc_std = deblurred = None
    with_std = with_std or limits.max_rel_std > 0
    if "depth" in outputs:
        depth = limits.apply(geometry.map_from_network(outputs["depth"][0, 0], output_size))
    if "coc" in outputs:
        # Blur is measured in network pixels; a map of another size has pixels of another size.
        per_pixel = size[1] / geometry.network_size[1]
        coc = geometry.map_from_network(outputs["coc"][0, 0], output_size) * np.float32(per_pixel)
        if with_std:
            coc_std = geometry.map_from_network(outputs["coc_log_var"][0, 0], output_size) * np.float32(0.5)
            coc_std += np.float32(np.log(per_pixel))
            cv2.exp(coc_std, coc_std)  # a fifth of the time of numpy's
        if curve is not None:
            # The network's image is the resized one; its blur is only counted in the pixels of the map.
            resized = model.resized(curve, geometry.network_size[1] / geometry.image_size[1]).counted_in(per_pixel)
            depth = limits.apply(resized.depth_m(coc))
            if coc_std is not None:
                std = resized.depth_std_m(depth, coc_std, coc)
                limits.drop_uncertain(depth, std)
    if "deblurred" in outputs:
        image = outputs["deblurred"][0]
        is_uint8 = image.dtype == np.uint8
        deblurred = (geometry.uint8_image_from_network if is_uint8 else geometry.image_from_network)(image, output_size)
    return Prediction(depth_m=depth, depth_std_m=std, coc_px=coc, coc_std_px=coc_std, deblurred=deblurred)
