# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The files of one result: maps as numbers, maps as colours with a legend, a sheet of all, points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.colormap import ColourScale, blur_scale, fixed_depth_scale, scene_depth_scale, std_scale
from dfd_perception.core.depth_encoding import uint16_mm_from_depth_m
from dfd_perception.core.result import Result
from dfd_perception.core.sheet import map_cell, result_sheet, with_legend
from dfd_perception.errors import LensError, UsageError
from dfd_perception.files.atomic import write_bytes
from dfd_perception.files.images import write_png

DEFOCUS_UNIT_PX = 0.01
"""Of STEM_defocus.png."""
KINDS = ("depth", "depth_color", "std", "std_color", "defocus", "defocus_color", "deblurred", "sheet")
POINTS_SUFFIX = "_points.ply"


def written_before(folder: Path, stem: str) -> list[Path]:
    """Results of this stem that the folder holds already."""
    names = [*(f"{stem}_{kind}.png" for kind in KINDS), f"{stem}{POINTS_SUFFIX}"]
    return [folder / name for name in names if (folder / name).exists()]


def require_free(folder: Path, stem: str) -> None:
    """Check that nothing would be overwritten.

    Raises:
        UsageError: results of this stem are there.
    """
    earlier = written_before(folder, stem)
    if earlier:
        more = f" and {len(earlier) - 1} more" if len(earlier) > 1 else ""
        raise UsageError(f"{earlier[0]}{more} would be overwritten; give --overwrite, or another --out")


def write_result(
    folder: Path,
    stem: str,
    result: Result,
    *,
    depth_range_m: tuple[float, float] | None = None,
    facts: Sequence[str] = (),
    points: bool = False,
) -> list[Path]:
    """Write what the result holds; every file appears whole.

    STEM_depth.png and STEM_std.png are uint16 millimetres (0: none), STEM_defocus.png uint16 hundredths of a pixel.

    Args:
        folder: made if it is not there.
        stem: of the names.
        result: to write.
        depth_range_m: colour range of the depth; None = fitted to the scene.
        facts: lines for the sheet.
        points: write STEM_points.ply too.

    Raises:
        RecordingError: the disk is full or not writable.
        LensError: points without depth.
    """
    scale = None if depth_range_m is None else fixed_depth_scale(depth_range_m)
    images = _maps(result, scale)
    images["sheet"] = result_sheet(result, facts, scale)
    written = []
    for kind, image in images.items():
        path = folder / f"{stem}_{kind}.png"
        write_png(path, image)
        written.append(path)
    if points:
        path = folder / f"{stem}{POINTS_SUFFIX}"
        write_bytes(path, ply_of(result))
        written.append(path)
    return written


def _maps(result: Result, depth_scale: ColourScale | None) -> dict[str, NDArray[Any]]:
    images: dict[str, NDArray[Any]] = {}
    if result.depth_m is not None:
        images["depth"] = uint16_mm_from_depth_m(result.depth_m)
        images["depth_color"] = _coloured(result.depth_m, depth_scale or scene_depth_scale(result.depth_m))
    if result.std_m is not None:
        images["std"] = uint16_mm_from_depth_m(result.std_m)
        images["std_color"] = _coloured(result.std_m, std_scale(result.std_m))
    if result.blur_px is not None:
        images["defocus"] = np.clip(np.rint(result.blur_px / DEFOCUS_UNIT_PX), 0, 65535).astype(np.uint16)
        images["defocus_color"] = _coloured(result.blur_px, blur_scale(result.blur_px))
    if result.deblurred is not None:
        images["deblurred"] = result.deblurred
    return images


def _coloured(values: NDArray[np.float32], scale: ColourScale) -> NDArray[np.uint8]:
    return with_legend(map_cell("", values, scale))


def ply_of(result: Result) -> bytes:
    """The points with their colours as a PLY file (binary, little endian): x y z [m] in the optical frame, RGB.

    Raises:
        LensError: the result has no depth, or no focal length in pixels.
    """
    xyz, rgb = result.points(), result.point_colours()
    if not len(xyz):
        raise LensError("no pixel has depth: there are no points to write")
    vertices = np.empty(len(xyz), [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    vertices["xyz"], vertices["rgb"] = xyz, rgb
    properties = [f"property float {name}" for name in "xyz"] + [
        f"property uchar {name}" for name in ("red", "green", "blue")
    ]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment x right, y down, z forward [m]",
        f"element vertex {len(vertices)}",
        *properties,
        "end_header",
    ]
    return ("\n".join(header) + "\n").encode("ascii") + vertices.tobytes()
