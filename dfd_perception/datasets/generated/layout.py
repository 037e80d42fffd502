# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Procedural 3-D layouts: surfaces whose inverse depth is affine in the image, each with its own texture.

A plane seen by a pinhole camera has an inverse depth linear in the pixel coordinates, so rooms, slanted
walls, tables and tilted boards cost one multiplication a pixel, and the nearest surface is the largest value.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.datasets.generated.texture import TextureBank

Mask = NDArray[np.bool_]
FloatMap = NDArray[np.float32]


class Layout(NamedTuple):
    """A sharp image and its geometry."""

    image: FloatMap
    """(H, W, 3) encoded RGB in [0, 1]."""
    nearness: FloatMap
    """(H, W) inverse depth scaled so that the farthest point is 0 and the nearest 1."""
    dioptres: tuple[float, float] | None = None
    """Inverse depth [1/m] of the farthest and of the nearest point, where the scene has a size."""
    softness_px2: float = 0.0
    """sigma^2 of what softens the image already."""


def random_layout(rng: np.random.Generator, size_px: int, textures: TextureBank) -> Layout:
    """A square scene: room or slanted plane behind, up to fourteen objects before it."""
    grid = np.linspace(-1, 1, size_px, dtype=np.float32)
    x, y = np.meshgrid(grid, grid)
    nearness, image = _background(rng, x, y, textures)
    # A third of the scenes are nearly empty: a robot sees few things on a large plain surface.
    for _ in range(rng.integers(0, 4) if rng.random() < 0.35 else rng.integers(3, 15)):
        _add_object(rng, x, y, nearness, image, textures)
    if rng.random() < 0.3:
        for _ in range(rng.integers(1, 7)):
            _add_rod(rng, x, y, nearness, image)
    image *= (_illumination(rng, x, y) * _shadows(rng, x, y))[..., None]
    low, high = float(nearness.min()), float(nearness.max())
    return Layout(np.clip(image, 0, 1), (nearness - low) / max(high - low, 1e-6))


def _background(rng: np.random.Generator, x: FloatMap, y: FloatMap, textures: TextureBank) -> tuple[FloatMap, FloatMap]:
    size_px = x.shape[0]
    planes = [rng.uniform(0, 0.3) + 0 * x]
    slope = rng.uniform(0.1, 0.9)
    draw = rng.random()
    if draw < 0.25:
        # One wall or floor at an angle, its texture in perspective.
        angle, slant = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.85)
        inverse_depth = (1 + slant * (np.cos(angle) * x + np.sin(angle) * y) / np.sqrt(2)).astype(np.float32)
        return inverse_depth, textures.on_plane(rng, x, y, inverse_depth)
    if draw < 0.65:
        # A room: floor, walls, ceiling; the nearest along each ray has the largest inverse depth.
        for direction in (y, -y, x, -x):
            if rng.random() < 0.6:
                tilt = rng.normal(0, 0.1)
                planes.append(slope * (direction - rng.uniform(-0.6, 0.9)) + tilt * (x + y) + planes[0])
    else:
        angle = rng.uniform(0, 2 * np.pi)
        planes = [rng.uniform(0, 1.2) * (np.cos(angle) * x + np.sin(angle) * y)]
    stack = np.stack(planes)
    visible = stack.argmax(0)
    image = np.empty((size_px, size_px, 3), np.float32)
    for index in np.unique(visible):
        shown = visible == index
        image[shown] = textures.random(rng, size_px)[shown]
    return stack.max(0).astype(np.float32), image


def _add_object(
    rng: np.random.Generator,
    x: FloatMap,
    y: FloatMap,
    nearness: FloatMap,
    image: FloatMap,
    textures: TextureBank,
) -> None:
    centre_x, centre_y = rng.uniform(-1.1, 1.1, 2)
    radius = np.exp(rng.uniform(np.log(0.06), np.log(0.9)))
    aspect = np.exp(rng.uniform(-1.2, 1.2))
    angle = rng.uniform(0, 2 * np.pi)
    along, across = _turned(x - centre_x, y - centre_y, angle)
    u, v = along / (radius * np.sqrt(aspect)), across / (radius / np.sqrt(aspect))
    shape, relief = _random_shape(rng, u, v)
    if np.count_nonzero(shape) < 9:
        return
    surface = _surface(rng, nearness, shape, radius * u, radius * v, radius * relief)
    shown = shape & (surface >= nearness)
    if not shown.any():
        return
    box = _bounding_box(shown)
    texture = textures.random(rng, max(side.stop - side.start for side in box))
    # Soft by half a pixel: a hard mask would draw aliased outlines, which no camera does.
    alpha = cv2.GaussianBlur(shown[box].astype(np.float32), (3, 3), 0.5)[..., None]
    image[box] += alpha * (texture[: alpha.shape[0], : alpha.shape[1]] - image[box])
    nearness[shown] = surface[shown]


def _add_rod(rng: np.random.Generator, x: FloatMap, y: FloatMap, nearness: FloatMap, image: FloatMap) -> None:
    """A wire, rod or stem before everything that it crosses: 2 to 16 px wide in a scene of 320 px, straight or bent."""
    along, across = _turned(x - rng.uniform(-0.9, 0.9), y - rng.uniform(-0.9, 0.9), rng.uniform(0, np.pi))
    across = across - rng.normal(0, 0.25) * along**2
    half_width = np.exp(rng.uniform(np.log(0.006), np.log(0.05)))
    shown = (np.abs(across) < half_width) & (np.abs(along) < rng.uniform(0.4, 3.0))
    if not shown.any():
        return
    distance = float(nearness[shown].max()) + abs(rng.normal(0.05, 0.3))
    shading = np.sqrt(np.clip(1 - (across / half_width) ** 2, 0, 1)) * 0.5 + 0.5
    colour = (rng.uniform(0.02, 0.95) + rng.normal(0, 0.1, 3)).astype(np.float32)
    alpha = cv2.GaussianBlur(shown.astype(np.float32), (3, 3), 0.5)[..., None]
    image += alpha * (shading[..., None].astype(np.float32) * colour - image)
    nearness[shown] = distance


def _turned(x: FloatMap, y: FloatMap, angle_rad: float) -> tuple[FloatMap, FloatMap]:
    """Coordinates along and across a direction."""
    return np.cos(angle_rad) * x + np.sin(angle_rad) * y, np.cos(angle_rad) * y - np.sin(angle_rad) * x


def _surface(
    rng: np.random.Generator, nearness: FloatMap, shape: Mask, u: FloatMap, v: FloatMap, relief: FloatMap
) -> FloatMap:
    """Nearness of an object: most lie on, or stand close to, what is behind them, so that one tells of the other."""
    draw = rng.random()
    if draw < 0.25:
        return nearness  # a mark: print, label, tile
    standing = abs(rng.normal(0, 0.08 if draw < 0.65 else 0.4))
    tilt_u, tilt_v = rng.normal(0, 0.25, 2)
    under = float(np.median(nearness[shape]))
    return under + standing + tilt_u * u + tilt_v * v + rng.uniform(0, 0.25) * relief


def _bounding_box(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns that hold the mask, with a border of one pixel for its soft edge."""
    spans = []
    for axis in (1, 0):
        occupied = np.flatnonzero(mask.any(axis))
        spans.append(slice(max(occupied[0] - 1, 0), occupied[-1] + 2))
    return spans[0], spans[1]


def _random_shape(rng: np.random.Generator, u: FloatMap, v: FloatMap) -> tuple[Mask, FloatMap]:
    """A silhouette in unit coordinates and the relief of the body that casts it."""
    kind = rng.choice(["ellipsoid", "cylinder", "board", "box", "polygon", "blob", "bars"])
    r = np.hypot(u, v)
    if kind == "ellipsoid":
        return r < 1, np.sqrt(np.clip(1 - r**2, 0, None))
    if kind == "blob":
        phase = np.arctan2(v, u)
        lobes = sum(rng.normal(0, 0.3 / k) * np.cos(k * phase + rng.uniform(0, 6.3)) for k in range(1, 6))
        return r < 0.8 + lobes, np.clip(1 - r, 0, 1)
    if kind == "polygon":
        sides = rng.integers(3, 8)
        edges = [np.cos(a) * u + np.sin(a) * v for a in np.sort(rng.uniform(0, 2 * np.pi, sides))]
        return (np.max(edges, axis=0) < 0.8) & (r < 1.6), np.zeros_like(u)
    inside = (np.abs(u) < 1) & (np.abs(v) < 1)
    if kind == "bars":
        return inside & (np.sin(u * rng.uniform(6, 25)) > rng.uniform(-0.2, 0.7)), np.zeros_like(u)
    if kind == "cylinder":
        return inside, np.sqrt(np.clip(1 - u**2, 0, None))
    if kind == "box":
        corner = rng.uniform(-0.6, 0.6)
        return inside, -np.abs(u - corner) * rng.uniform(0.3, 1.5)
    return inside, np.zeros_like(u)


def _illumination(rng: np.random.Generator, x: FloatMap, y: FloatMap) -> FloatMap:
    angle = rng.uniform(0, 2 * np.pi)
    ramp = 1 + rng.uniform(0, 0.4) * (np.cos(angle) * x + np.sin(angle) * y)
    vignette = 1 - rng.uniform(0, 0.15) * (x**2 + y**2)
    return (np.exp(rng.normal(0, 0.2)) * ramp * vignette).astype(np.float32)


def _shadows(rng: np.random.Generator, x: FloatMap, y: FloatMap) -> FloatMap:
    """Up to three shadows with a penumbra: edges that are soft without any defocus."""
    light = np.ones_like(x)
    for _ in range(rng.integers(1, 4) if rng.random() < 0.25 else 0):
        centre_x, centre_y = rng.uniform(-1.1, 1.1, 2)
        radius_x, radius_y = np.exp(rng.uniform(np.log(0.1), np.log(0.8), 2))
        angle, penumbra = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(0.01), np.log(0.3)))
        along, across = _turned(x - centre_x, y - centre_y, angle)
        u, v = along / radius_x, across / radius_y
        outside = np.clip((np.hypot(u, v) - 1) * min(radius_x, radius_y) / penumbra + 0.5, 0, 1)
        light *= 1 - rng.uniform(0.1, 0.6) * (1 - outside * outside * (3 - 2 * outside))
    return light
