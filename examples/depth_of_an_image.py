# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Depth of one image in three lines, and what can be done with it.

python examples/depth_of_an_image.py IMAGE LENS.yaml [--fx PX] [--model MODEL]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import dfd_perception as dfd
from dfd_perception.core.sheet import result_sheet
from dfd_perception.files.images import write_png
from dfd_perception.files.result_files import ply_of


def main(image: str, lens: str, fx_px: float | None, model: str) -> None:
    """Measure, print, write a sheet and the points beside the image."""
    meter = dfd.load(model, lens=lens, fx_px=fx_px, max_m=10.0)
    result = meter(image)
    print(result.summary().line())

    assert result.depth_m is not None
    assert result.std_m is not None
    sure = result.std_m < 0.2 * result.depth_m
    print(
        f"the nearest thing is at {np.nanmin(result.depth_m):.2f} m; {sure.mean():.0%} of the image is certain to 20 %"
    )
    row, column = (side // 2 for side in result.depth_m.shape)
    print(f"in the middle: {result.depth_m[row, column]:.2f} m +- {result.std_m[row, column]:.2f} m")
    points = result.points()
    nearest, farthest = (", ".join(f"{value:.2f}" for value in corner) for corner in (points.min(0), points.max(0)))
    print(f"{len(points)} points from ({nearest}) to ({farthest}) m")

    stem = Path(image).with_suffix("")
    write_png(Path(f"{stem}_sheet.png"), result_sheet(result))
    Path(f"{stem}_points.ply").write_bytes(ply_of(result))
    meter.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Depth of one image: a sheet and the points beside it.")
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument("lens", metavar="LENS.yaml")
    parser.add_argument("--fx", type=float, metavar="PX", help="focal length [px], if the lens lacks a pixel pitch")
    parser.add_argument("--model", default="2hded-small", metavar="M", help="model folder (default: 2hded-small)")
    arguments = parser.parse_args()
    try:
        main(arguments.image, arguments.lens, arguments.fx, arguments.model)
    except dfd.DfdPerceptionError as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
