# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Make training data of a recorded session: depth in the pixels of the robot camera, images beside it.

The index is rebuilt from the files first, so that a session whose recording was killed is whole again. The thesis'
pre-processing steps are switches here. The result lies in the session itself: defocused/, aif/, depth/, dataset.yaml.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfd_perception.errors import counted

if TYPE_CHECKING:
    from dfd_perception.core.lens import LensDescription
    from dfd_perception.groundtruth.session_registration import RegisteredSession


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `dfd register`."""
    parser.add_argument("session", type=Path, metavar="SESSION", help="folder of the recorder or of dfd ingest")
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="of dfd calibrate (default: the session's)")
    parser.add_argument("--lens", type=Path, metavar="LENS.yaml", help="lens of the camera, kept in dataset.yaml")
    parser.add_argument(
        "--aif",
        choices=("auto", "captured", "colour", "none"),
        default="auto",
        help="all-in-focus image: captured at small aperture, the depth sensor's colour image, or none; auto "
        "(default) takes the first that there is",
    )
    parser.add_argument("--sharp", action="store_true", help="write the images as rgb/ for dfd synthesize")
    parser.add_argument("--denoise", type=int, default=1, metavar="N",
                        help="mode over N frames of a camera at rest (default: 1)")  # fmt: skip
    parser.add_argument("--inpaint", type=int, default=0, metavar="PX",
                        help="fill holes up to this area [px] (default: 0; -1: all)")  # fmt: skip
    parser.add_argument("--crop", type=int, nargs=4, metavar=("X", "Y", "W", "H"), help="window of the images [px]")
    parser.add_argument("--normalise", action="store_true", help="stretch both images of a pair by one map")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(args: argparse.Namespace) -> int:
    """Register; exit code 0 when at least one moment has depth."""
    from tqdm import tqdm

    from dfd_perception.errors import DatasetError
    from dfd_perception.files.lens_file import read_lens
    from dfd_perception.groundtruth.clean_up import PreprocessingRecipe
    from dfd_perception.groundtruth.rig.rig_calibration import RigCalibration
    from dfd_perception.groundtruth.session_registration import SessionRegistration

    recipe = PreprocessingRecipe(
        denoise_frames=args.denoise,
        inpaint_up_to_px=args.inpaint,
        crop=tuple(args.crop) if args.crop else None,
        normalise=args.normalise,
    )
    rig = RigCalibration.read(args.calibration) if args.calibration else None
    lens = read_lens(args.lens) if args.lens else None
    registration = SessionRegistration(args.session, recipe, rig, args.aif, args.sharp)
    with tqdm(unit=" frames", disable=args.json or None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = registration.run(show)
    if not result.rows:
        raise DatasetError(f"{args.session}: no depth falls into the camera's image; is the calibration of this rig?")
    provenance = {"source": registration.description.source, "preprocessing": dict(vars(recipe))}
    _describe(args, result, lens, provenance)
    _report(args, result)
    return 0


def _describe(
    args: argparse.Namespace, result: RegisteredSession, lens: LensDescription | None, provenance: dict[str, Any]
) -> None:
    """Write what whoever reads the result has to know: the camera for dfd synthesize, or dataset.yaml."""
    from dfd_perception.datasets.folder import DatasetDescription, write_dataset_yaml

    if args.sharp:
        meta = {name: getattr(result.camera, name) for name in ("fx", "fy", "cx", "cy")} | {"depth_unit_m": 1e-3}
        (args.session / "depth" / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    else:
        write_dataset_yaml(
            args.session,
            DatasetDescription(
                name=args.session.resolve().name,
                lens=lens,
                camera=result.camera,
                depth_unit_m=1e-3,
                depth_range_m=result.depth_range_m,
                provenance=provenance,
                counts=dict.fromkeys(result.parts, len(result.rows)),
            ),
        )


def _report(args: argparse.Namespace, result: RegisteredSession) -> None:
    fractions = [row.valid_fraction for row in result.rows if row.valid_fraction is not None]
    counts = {
        "frames": len(result.rows),
        "parts": list(result.parts),
        "valid_fraction": sum(fractions) / len(fractions),
        "without_depth": len(result.without_depth),
        "recovered": result.rebuilt.recovered,
        "lost": result.rebuilt.lost,
        "refused": len(result.refused),
    }
    if result.refused:
        refused = counted(len(result.refused), "moment")
        print(f"dfd: {refused} left out, the first: {result.refused[0]}", file=sys.stderr)
    if args.json:
        print(json.dumps(counts))
    else:
        then = f"Look at it: dfd inspect {args.session}"
        if args.sharp:
            then = f"Blur it for training: dfd synthesize {args.session} --lens LENS.yaml --out DIR"
        print(
            f"{args.session}: {counted(len(result.rows), 'frame')} with {', '.join(result.parts)}; depth on "
            f"{counts['valid_fraction']:.1%} of the image; {counts['without_depth']} without depth, "
            f"{counts['recovered']} recovered, {counts['lost']} lost. {then}"
        )
