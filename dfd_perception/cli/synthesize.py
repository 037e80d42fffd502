# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Give sharp RGB-D images the defocus of a lens and write them as a data set folder.

RGBD_DIR holds NAME/{rgb.png|jpg, depth.png, meta.json} or rgb/ and depth/, or is NYU-Depth-V2, DIODE or Make3D as
published. Blur is layered and occlusion-aware, in linear light. The same call gives the same files.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from dfd_perception.cli.point_spread_options import add_point_spread, point_spread_of
from dfd_perception.errors import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd synthesize`."""
    parser.add_argument("rgbd", type=Path, metavar="RGBD_DIR", help="sharp images with depth")
    parser.add_argument("--lens", type=Path, required=True, metavar="LENS.yaml", help="lens to take them with")
    parser.add_argument("--fx", type=float, metavar="PX", help="focal length of the images [px] (default: their own)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new data set folder")
    parser.add_argument(
        "--depth-unit", metavar="U", help="of 16-bit depth: mm (default), tum (1/5000 m), kitti (1/256 m), m, or metres"
    )
    parser.add_argument("--split", help="only this split of RGBD_DIR")
    add_point_spread(parser)
    parser.add_argument("--full-well", type=float, default=0.0, metavar="E",
                        help="shot noise: electrons of white (default: none)")  # fmt: skip
    parser.add_argument("--read-noise", type=float, default=0.0, metavar="S",
                        help="read noise, fraction of white (default: 0)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise (default: 0)")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(args: argparse.Namespace) -> int:
    """Read the lens, blur every frame, write the folder."""
    from dfd_perception.core.depth_encoding import parse_depth_unit
    from dfd_perception.core.sensor import SensorNoise
    from dfd_perception.datasets.depth_units import unit_lines_of
    from dfd_perception.datasets.registry import open_sharp
    from dfd_perception.datasets.rgbd import DefocusedRgbd
    from dfd_perception.datasets.sample import select_split
    from dfd_perception.datasets.synthesis import FolderWriter, lens_on
    from dfd_perception.files.lens_file import read_lens

    lens = read_lens(args.lens)
    unit_m = None if args.depth_unit is None else parse_depth_unit(args.depth_unit)
    source = open_sharp(args.rgbd, depth_unit_m=unit_m)
    point_spread = point_spread_of(args)
    noise = SensorNoise(full_well_e=args.full_well, read_noise=args.read_noise)
    resolved = lens_on(lens, source, args.fx)
    for note in resolved.notes:
        print(f"note: {note}", file=sys.stderr)
    curve = resolved.curve
    frames = select_split(DefocusedRgbd(source, curve, point_spread, noise, args.seed), args.split)
    settings = {
        "source": source.name,
        "blur": f"layered, {args.psf}, sigma {args.sigma_per_coc} of the diameter, linear light",
        "full_well_e": args.full_well,
        "read_noise": args.read_noise,
        "seed": args.seed,
    }
    from tqdm import tqdm

    writer = FolderWriter(args.out, lens.fitted_to(resolved.fx_px), settings, args.fx)
    for line in unit_lines_of(source, "--depth-unit"):
        print(f"note: {line}", file=sys.stderr)
    for index in tqdm(range(len(frames)), desc="blurring", unit="frame", disable=not sys.stderr.isatty()):
        writer.add(frames[index])
    writer.finish()
    if args.json:
        print(
            json.dumps({"out": str(args.out), "frames": len(frames), "gain_px_per_dioptre": curve.gain_px_per_dioptre})
        )
    else:
        gain = f"{curve.gain_px_per_dioptre:.2f} px per dioptre of misfocus"
        print(f"{counted(len(frames), 'frame')} in {args.out}, blur {gain}")
    return 0
