# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Simulator (a): layered, occlusion-aware defocus of a sharp image with known depth.

After Carvalho et al. 2018 (who follow Hasinoff & Kutulakos): the scene is cut into layers of nearly equal
blur, each is blurred as a whole, and they are laid over each other from far to near. Three changes cure
the reference's defects (seams between neighbouring layers, dark borders, blur over in-focus areas):
layers are even in blur, not in depth; a layer's colour is normalised by its blurred mask; and its
coverage is that of everything at its depth or nearer, so that a slanted surface has no gaps.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.point_spread import DISK, PointSpread
from dfd_perception.errors import ImageError

ACROSS_SURFACE_PX = 1.5
"""Layers within this much blur count as one surface when colours are gathered across their border."""

LAYER_STEP_PX = 0.7
"""Blur between neighbouring layers near focus."""

FLOOR = 1e-4


def blur_layers(
    image_HW3: NDArray[np.float32],
    signed_coc_px: NDArray[np.float32],
    point_spread: PointSpread = DISK,
    coarse_beyond_px: float = float("inf"),
) -> NDArray[np.float32]:
    """Defocus an image as a lens would.

    Args:
        image_HW3: (H, W, C) float32, linear light for a physical result.
        signed_coc_px: (H, W) signed circle of confusion, growing with distance (DefocusCurve.signed_coc_px).
            Not finite (no depth): treated as the farthest layer of the image.
        point_spread: shape of the blur.
        coarse_beyond_px: layers blurred more than this are laid at half the size, those of more than 2.3 times as much
            at a quarter: four times as fast for wide blur, at the price of a rim that is soft by a pixel or two.

    Returns:
        (H, W, C) float32.

    Raises:
        ImageError: the shapes differ.
    """
    if image_HW3.shape[:2] != signed_coc_px.shape:
        raise ImageError(f"image is {image_HW3.shape[:2]}, blur map {signed_coc_px.shape}; they must be alike")
    beta = _filled_far(np.asarray(signed_coc_px, np.float32))
    edges = layer_edges(float(beta.min()), float(beta.max()))
    layer_of = np.clip(np.searchsorted(edges, beta, side="right") - 1, 0, len(edges) - 2)
    # The mean of what a layer holds, not its centre: blur is never rounded to the grid.
    counts = np.bincount(layer_of.ravel(), minlength=len(edges) - 1)
    means = np.bincount(layer_of.ravel(), beta.ravel(), len(edges) - 1) / np.maximum(counts, 1)
    result = np.zeros_like(image_HW3)
    first = True
    for layer in np.flatnonzero(counts)[::-1]:
        coc_px = abs(float(means[layer]))
        surface = ((np.abs(means - means[layer]) <= ACROSS_SURFACE_PX) & (counts > 0))[layer_of].astype(np.float32)
        nearer = (layer_of <= layer).astype(np.float32)
        if coc_px <= coarse_beyond_px:
            kernel = point_spread.kernel(coc_px)
            colour, cover = _blurred_colour(image_HW3, surface, kernel), _filter(nearer, kernel)
        else:
            shrink = 2 if coc_px <= 2.3 * coarse_beyond_px else 4
            colour, cover = _blurred_coarsely(image_HW3, surface, nearer, point_spread, coc_px, shrink)
        if first:
            result, first = colour, False
            continue
        result += cover[..., None] * (colour - result)
    return result


def layer_edges(nearest_px: float, farthest_px: float) -> NDArray[np.float64]:
    """Borders of the layers between two signed blurs: LAYER_STEP_PX apart near focus, 10 % of the blur farther out."""
    edges = [nearest_px - 1e-3]
    while edges[-1] < farthest_px:
        edges.append(edges[-1] + max(LAYER_STEP_PX, 0.10 * abs(edges[-1])))
    return np.asarray(edges if len(edges) > 1 else [nearest_px - 1e-3, nearest_px + LAYER_STEP_PX])


def _filled_far(beta: NDArray[np.float32]) -> NDArray[np.float32]:
    finite = np.isfinite(beta)
    if finite.all():
        return beta
    return np.where(finite, beta, beta[finite].max() if finite.any() else 0).astype(np.float32)


def _filter(plane: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    if kernel.size == 1:
        return plane
    return cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REPLICATE)


def _blurred_coarsely(
    image: NDArray[np.float32],
    surface: NDArray[np.float32],
    nearer: NDArray[np.float32],
    point_spread: PointSpread,
    coc_px: float,
    shrink: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colour and cover of a layer, blurred at 1 / shrink of the size; what the resizing itself blurs is taken off.

    An area average and linear interpolation add (shrink^2 - 1) / 12 and (shrink^2 - 1) / 6 px^2 of variance.
    """
    size = image.shape[1::-1]
    small = tuple(-(-side // shrink) for side in size)
    resized_variance_px2 = (shrink**2 - 1) / 4
    sigma_px = np.sqrt((point_spread.sigma_per_coc * coc_px) ** 2 - resized_variance_px2)
    kernel = point_spread.kernel(float(sigma_px / point_spread.sigma_per_coc / shrink))
    planes = (cv2.resize(plane, small, interpolation=cv2.INTER_AREA) for plane in (image, surface, nearer))
    image_small, surface_small, nearer_small = planes
    colour, cover = _blurred_colour(image_small, surface_small, kernel), _filter(nearer_small, kernel)
    return cv2.resize(colour, size), cv2.resize(cover, size)


def _blurred_colour(
    image: NDArray[np.float32], surface: NDArray[np.float32], kernel: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Mean colour of the surface under the kernel; where the kernel misses it, the image itself."""
    weight = _filter(surface, kernel)[..., None]
    return (_filter(image * surface[..., None], kernel) + FLOOR * image) / (weight + FLOOR)
