# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Depth of one image in three lines, and what can be done with it.

python examples/depth_of_an_image.py IMAGE LENS.yaml [MODEL]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import dfd_perception as dfd
from dfd_perception.core.sheet import result_sheet
from dfd_perception.files.images import write_png
from dfd_perception.files.result_files import ply_of


def main(image: str, lens: str, model: str = "2hded-small") -> None:
    """Measure, print, write a sheet and the points beside the image."""
    meter = dfd.load(model, lens=lens, max_m=10.0)
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
    print(f"{len(points)} points from {np.round(points.min(0), 2).tolist()} to {np.round(points.max(0), 2).tolist()} m")

    stem = Path(image).with_suffix("")
    write_png(Path(f"{stem}_sheet.png"), result_sheet(result))
    Path(f"{stem}_points.ply").write_bytes(ply_of(result))
    meter.close()


if __name__ == "__main__":
    main(*sys.argv[1:4])
