# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Textures that need no file: plain paint, patterns, and noise with the statistics of photographs."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]

KINDS = ("octaves", "stripes", "checks", "dots", "text", "lines", "bricks", "bricks", "leaves", "spectrum")
"""Painted textures; what stands twice is drawn twice as often."""

DETAILED_KINDS = (*KINDS, *("leaves", "spectrum") * 4)
"""Half of them with the statistics of photographs, of which there are never enough: rich at every scale."""


def plain(rng: np.random.Generator, size_px: int) -> FloatImage:
    """Nearly uniform paint: what walls and tables mostly are."""
    colour = rng.uniform(0.05, 0.95) + rng.normal(0, 0.1, 3)
    mottle = _noise(rng, size_px, int(rng.integers(2, 9))) * rng.uniform(0, 0.06)
    grain = rng.standard_normal((size_px, size_px)) * rng.choice([0, 0.01, 0.03])
    return (colour + (mottle + grain)[..., None]).astype(np.float32)


def pattern(rng: np.random.Generator, size_px: int, kinds: Sequence[str]) -> FloatImage:
    """A (size, size, 3) texture of one of `kinds`, in two colours or many, about [0, 1]."""
    kind = rng.choice(kinds)
    dark, light = (rng.uniform(0, 1) + rng.normal(0, 0.15, 3) for _ in range(2))
    if rng.random() < 0.25:
        # Print, as on calibration boards, signs and keyboards: nearly black on nearly white.
        dark, light = rng.uniform(0.0, 0.2) + np.zeros(3), rng.uniform(0.7, 1.0) + rng.normal(0, 0.03, 3)
    if kind == "octaves":
        scales = [4 * 2**octave for octave in range(10) if 4 * 2**octave <= size_px]  # down to single pixels
        cover = sum(_noise(rng, size_px, s) * (s / 4) ** -rng.uniform(0.2, 1.2) for s in scales) + 0.5
    elif kind == "leaves":
        return leaves(rng, size_px)
    elif kind == "spectrum":
        return spectrum(rng, size_px)
    elif kind == "bricks":
        return _bricks(rng, size_px, dark, light)
    elif kind in ("stripes", "checks"):
        cover = _grating(rng, size_px, crossed=kind == "checks")
    else:
        cover = _drawing(rng, size_px, kind)
    cover = np.clip(cover, 0, 1)[..., None]
    return (dark + cover * (light - dark)).astype(np.float32)


def leaves(rng: np.random.Generator, size_px: int) -> FloatImage:
    """Discs, boxes and slivers dropped on each other: edges of every size, as natural images have.

    Source: the dead leaves model, radii with density r^-3: Lee, Mumford & Huang, IJCV 41, 2001.
    """
    smallest_px, largest_px = np.exp(rng.uniform(0, np.log(6))), size_px / 4
    count = int(np.clip(3 * (size_px / smallest_px) ** 2 / 40, 200, 4000))
    u = rng.random(count)
    radii_px = (smallest_px**-2 + u * (largest_px**-2 - smallest_px**-2)) ** -0.5
    paint = rng.uniform(0.1, 0.9) + rng.normal(0, 0.1, 3)
    shades = paint + rng.normal(0, rng.uniform(0.08, 0.3), (count, 1)) + rng.normal(0, 0.06, (count, 3))
    colours = (255 * np.clip(shades, 0, 1)).tolist()
    centres = rng.uniform(0, size_px, (count, 2))
    slimness = rng.choice([1.0, 0.6, 0.25], count)
    turned_deg = rng.uniform(0, 180, count)
    boxes = rng.random(count) < 0.4
    canvas = np.empty((size_px, size_px, 3), np.uint8)
    canvas[:] = (255 * np.clip(paint, 0, 1)).astype(np.uint8)
    for i in range(count):
        span = (2 * radii_px[i], 2 * radii_px[i] * slimness[i])
        leaf = ((float(centres[i, 0]), float(centres[i, 1])), span, float(turned_deg[i]))
        if boxes[i]:
            cv2.fillConvexPoly(canvas, np.rint(16 * cv2.boxPoints(leaf)).astype(np.int32), colours[i], cv2.LINE_AA, 4)
        else:
            cv2.ellipse(canvas, leaf, colours[i], -1, cv2.LINE_AA)
    return canvas.astype(np.float32) / np.float32(255)


def spectrum(rng: np.random.Generator, size_px: int) -> FloatImage:
    """Noise of amplitude 1/f^s in three related colours: rough plaster, gravel, cloth; no edges at all.

    Source: natural images have s about 1: Field, JOSA A 4(12), 1987.
    """
    steepness = rng.uniform(0.5, 1.5)
    frequency = np.hypot(np.fft.fftfreq(size_px)[:, None], np.fft.rfftfreq(size_px)[None]).astype(np.float32)
    frequency[0, 0] = 1.0
    amplitude = frequency**-steepness
    amplitude[0, 0] = 0.0
    grey, *tints = (
        np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size_px, size_px))) * amplitude, (size_px, size_px))
        for _ in range(4)
    )
    tinted = np.stack([grey + rng.uniform(0, 0.5) * tint for tint in tints], axis=-1)
    cover = tinted / tinted.std() * rng.uniform(0.08, 0.25)
    return (rng.uniform(0.2, 0.8) + rng.normal(0, 0.1, 3) + cover).astype(np.float32)


def _grating(rng: np.random.Generator, size_px: int, crossed: bool) -> FloatImage:
    y, x = np.mgrid[:size_px, :size_px].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(6), np.log(60)))
    u = (np.cos(angle) * x + np.sin(angle) * y) * 2 * np.pi / period
    v = (np.cos(angle) * y - np.sin(angle) * x) * 2 * np.pi / period
    wave = np.sin(u) * np.sin(v) if crossed else np.sin(u)
    # The slope of one pixel at the crossing keeps edges sharp without aliasing.
    return (wave * period / 6 + 0.5).clip(0, 1)


def _bricks(
    rng: np.random.Generator, size_px: int, mortar: NDArray[np.float64], brick: NDArray[np.float64]
) -> FloatImage:
    """Rows of bricks, tiles or planks, each of its own shade, with joints between them."""
    row_px = np.exp(rng.uniform(np.log(8), np.log(60)))
    brick_px = row_px * np.exp(rng.uniform(0, np.log(5)))
    joint_px = max(1.0, row_px * rng.uniform(0.03, 0.15))
    y, x = np.mgrid[:size_px, :size_px].astype(np.float32)
    row = np.floor(y / row_px)
    shifted = x + (row % 2) * brick_px * rng.choice([0.0, 0.5])
    column = np.floor(shifted / brick_px)
    to_joint = np.minimum(
        np.minimum(y - row * row_px, (row + 1) * row_px - y),
        np.minimum(shifted - column * brick_px, (column + 1) * brick_px - shifted),
    )
    inside = np.clip(to_joint - joint_px / 2 + 0.5, 0, 1)[..., None]
    shades = rng.normal(0, rng.uniform(0, 0.12), (int(row.max()) + 1, int(column.max()) + 2))
    shade = shades[row.astype(int), column.astype(int)][..., None]
    grain = rng.standard_normal((size_px, size_px, 1)) * rng.choice([0, 0.02, 0.06])
    return (mortar + inside * (brick + shade - mortar) + grain).astype(np.float32)


def _drawing(rng: np.random.Generator, size_px: int, kind: str) -> FloatImage:
    canvas = np.zeros((size_px, size_px), np.uint8)
    for _ in range(rng.integers(10, 90)):
        px, py, qx, qy = (int(v) for v in rng.integers(0, size_px, 4))
        shade = int(rng.integers(60, 256))
        if kind == "dots":
            cv2.circle(canvas, (px, py), int(rng.integers(1, 9)), shade, -1, cv2.LINE_AA)
        elif kind == "lines":
            cv2.line(canvas, (px, py), (qx, qy), shade, int(rng.integers(1, 4)), cv2.LINE_AA)
        else:
            word = "".join(chr(c) for c in rng.integers(48, 123, rng.integers(2, 9)))
            cv2.putText(canvas, word, (px, py), int(rng.integers(0, 8)), rng.uniform(0.3, 1.2), shade, 1, cv2.LINE_AA)
    return canvas.astype(np.float32) / np.float32(255)


def _noise(rng: np.random.Generator, size_px: int, cells: int) -> FloatImage:
    coarse = rng.uniform(-0.5, 0.5, (cells + 2, cells + 2)).astype(np.float32)
    return cv2.resize(coarse, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
