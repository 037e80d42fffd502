# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Calibrate a lens by the meter's own readings: gain K, focus distance F, side and blur floor, as a lens file.

SOURCE is images of a board (--board) that is moved through the working range, a folder of them, a bag with the board
or with depth beside the images, or a session or data set with depth; --live takes the images of a ROS 2 topic while the
board is moved. The board's pose is the distance, so the focal length in pixels is needed: --camera, --fx, camera_info
of the bag or beside the topic, or dataset.yaml. Two images of one scene at two apertures, --pair, give the blur floor
alone, without distances.

dfd calibrate-lens board/*.jpg --board charuco:7x5:0.04:0.03 --camera camera.yaml --model 2hded-small --out lens.yaml
dfd calibrate-lens --live /camera/image_raw --board apriltag:6x6:0.088:0.0264 --out lens.yaml
dfd calibrate-lens f28.jpg f8.jpg --pair 2.8 8 --model 2hded-small --lens lens.yaml --out lens_with_floor.yaml
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfd_perception.cli.ros_arguments import add_ros_arguments
from dfd_perception.errors import CalibrationError, UsageError, counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dfd_perception.calibration.blur_readings import BlurReading
    from dfd_perception.calibration.lens_fit import FittedLens
    from dfd_perception.core.lens import LensDescription
    from dfd_perception.core.optics import DefocusCurve
    from dfd_perception.core.result import FloatMap
    from dfd_perception.meter import Meter

SHOWN = 5
"""Names in a message."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `dfd calibrate-lens`."""
    from dfd_perception.groundtruth.rig.board import FORMS
    from dfd_perception.inference.backends.table import backend_choice

    parser.add_argument("source", nargs="*", type=Path, metavar="SOURCE", help="images, a folder, session or bag")
    parser.add_argument("--live", metavar="TOPIC", help="images of this topic while the board is moved")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="of --live (default: %(default)g)")
    parser.add_argument("--model", default="2hded-small", metavar="M", help="default: %(default)s")
    parser.add_argument("--board", help=FORMS)
    parser.add_argument("--pair", type=float, nargs=2, metavar=("WIDE", "NARROW"), help="f-numbers of two images")
    parser.add_argument("--fx", type=float, metavar="PX", help="focal length of the images [px]")
    parser.add_argument("--camera", type=Path, metavar="FILE", help="calibration of the camera, as ROS writes it")
    parser.add_argument("--lens", type=Path, metavar="LENS.yaml", help="data sheet to compare with")
    parser.add_argument("--side", choices=("far", "near"), help="where the scene lies (default: found)")
    parser.add_argument("--image-topic", metavar="T", help="of a bag (default: found)")
    parser.add_argument("--backend", **backend_choice())
    parser.add_argument("--out", type=Path, default=Path("lens.yaml"), metavar="FILE", help="default: %(default)s")
    parser.add_argument("--accept-poor", action="store_true", help="write the lens although the fit is poor")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_ros_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Calibrate; exit code 2 when the fit is too poor to use."""
    from dfd_perception.files.lens_file import read_lens
    from dfd_perception.meter import load

    sheet = None if args.lens is None else read_lens(args.lens)
    _check(args, sheet)
    with load(args.model, heads="depth", backend=args.backend) as meter:
        if meter.model.card.target != "coc":
            raise UsageError(f"model {meter.model.name} does not measure blur (target depth); expected target coc")
        return _run_pair(args, meter, sheet) if args.pair else _run_distances(args, meter, sheet)


def _check(args: argparse.Namespace, sheet: LensDescription | None) -> None:
    from dfd_perception.core.durations import require_duration

    if args.fx is not None and args.camera is not None:
        raise UsageError("--fx and --camera both give the focal length; leave one out")
    if bool(args.source) == (args.live is not None):
        raise UsageError("expected either SOURCE (images, a folder, session or bag) or --live TOPIC")
    require_duration("--seconds", args.seconds)
    if args.live is not None and (args.board is None or args.pair):
        raise UsageError("--live takes --board, whose pose is the distance")
    if args.out.is_dir():
        raise UsageError(f"--out {args.out} is a folder; expected a file, such as lens.yaml")
    missing = [str(path) for path in args.source if not path.exists()]
    if missing:
        raise UsageError(f"{', '.join(missing)}: no such file or folder")
    if args.pair and (len(args.source) != 2 or sheet is None):
        raise UsageError("--pair takes two images, the wide aperture first, and --lens, the file that gets the floor")


def _run_pair(args: argparse.Namespace, meter: Meter, sheet: LensDescription | None) -> int:
    from dfd_perception.calibration.blur_readings import floor_of_pair_px
    from dfd_perception.files.images import read_image

    assert sheet is not None
    if meter.model.card.blur != "total":
        raise UsageError(f"model {meter.model.name} reads the blur of the lens alone; it cannot see a floor")
    wide, narrow = (_measured(meter, read_image(path)) for path in args.source)
    floor_px, std_px = floor_of_pair_px(wide, narrow, tuple(args.pair))
    _write_lens(args, dataclasses.replace(sheet, blur_floor_px=round(floor_px, 3)))
    if args.json:
        print(json.dumps({"out": str(args.out), "blur_floor_px": floor_px, "std_px": std_px}))
    else:
        print(f"blur floor {floor_px:.2f} +- {std_px:.2f} px", file=sys.stderr)
    return 0


def _run_distances(args: argparse.Namespace, meter: Meter, sheet: LensDescription | None) -> int:
    from dfd_perception.calibration.fit_image import fit_image
    from dfd_perception.calibration.lens_fit import fit_lens
    from dfd_perception.core.lens import LensDescription
    from dfd_perception.files.images import write_png

    readings, fx_px = _readings(args, meter)
    is_total = meter.model.card.blur == "total"
    fit = fit_lens(readings, typical_floor_px=meter.model.card.typical_floor_px, side=args.side, has_floor=is_total)
    chart = args.out.with_suffix(".png")
    compared = None if sheet is None else sheet.resolved(fx_px, floor_px=fit.curve.blur_floor_px).curve
    write_png(chart, fit_image(fit, compared))
    if fit.faults and not args.accept_poor:
        raise CalibrationError(f"the fit is poor, nothing is written ({chart} shows it): {'; '.join(fit.faults)}")
    curve = fit.curve
    lens = LensDescription(
        aperture_diameter_mm=round(1e3 * curve.gain_px_per_dioptre / fx_px, 4),
        focus_distance_m=round(curve.focus_distance_m, 4),
        side=curve.side,
        blur_floor_px=round(curve.blur_floor_px, 3) if is_total else None,
    )
    _write_lens(args, lens)
    _report(args, fit, fx_px, compared, chart)
    return 0


def _readings(args: argparse.Namespace, meter: Meter) -> tuple[list[BlurReading], float]:
    """Readings of every image with distances, and the focal length [px] that the images share."""
    from tqdm import tqdm

    from dfd_perception.calibration.blur_readings import readings_at
    from dfd_perception.cli.calibrate_lens_live import moved_images
    from dfd_perception.cli.calibrate_lens_sources import measured_images
    from dfd_perception.groundtruth.rig.board import Board

    board = None if args.board is None else Board.from_text(args.board)
    readings: list[BlurReading] = []
    unknown: list[str] = []
    unsure: list[str] = []
    focal: set[float] = set()
    images = measured_images(args, board) if args.live is None else moved_images(args, board)
    for measured in tqdm(images, unit=" images", disable=args.json or args.live is not None or None):
        focal.add(round(measured.fx_px, 3))
        if measured.depth_m is None:
            unknown.append(measured.name)
            continue
        try:
            _, blur_px, std_px = _measured(meter, measured.image_rgb)
            readings += readings_at(measured.depth_m, blur_px, std_px, measured.name)
        except CalibrationError as error:
            unsure.append(str(error))
    what = f"the board ({args.board}) is not seen" if board else "nothing is known of the distance"
    where = f"{counted(len(unknown), 'image')} ({', '.join(unknown[:SHOWN])}"
    missing = f"{what} in {where}{', ...' if len(unknown) > SHOWN else ''})"
    if not readings:
        raise CalibrationError(f"no readings: {unsure[0] if unsure else missing}")
    for problem in [*([missing] if unknown else []), *unsure]:
        print(f"note: {problem}", file=sys.stderr)
    if max(focal) > 1.02 * min(focal):
        raise CalibrationError(f"images of focal lengths {min(focal):.1f} to {max(focal):.1f} px; expected one camera")
    return readings, max(focal)


def _measured(meter: Meter, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], FloatMap, FloatMap]:
    """Image, reading and its std."""
    result = meter(image)
    assert result.blur_px is not None
    assert result.blur_std_px is not None
    return result.image_rgb, result.blur_px, result.blur_std_px


def _write_lens(args: argparse.Namespace, lens: LensDescription) -> None:
    from dfd_perception.files.configuration import plain, write_yaml, yaml_text

    values = plain(lens, absent=[None])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_yaml(args.out, values)
    if not args.json:
        print(yaml_text(values), end="")


def _report(args: argparse.Namespace, fit: FittedLens, fx_px: float, sheet: DefocusCurve | None, chart: Path) -> None:
    curve = fit.curve
    figures: dict[str, Any] = {
        "out": str(args.out),
        "chart": str(chart),
        "gain_px_per_dioptre": curve.gain_px_per_dioptre,
        "gain_std": fit.gain_std,
        "focus_distance_m": curve.focus_distance_m,
        "focus_std_m": fit.focus_std_m,
        "blur_floor_px": curve.blur_floor_px,
        "floor_std_px": fit.floor_std_px,
        "side": curve.side,
        "fx_px": fx_px,
        "misfit_px": fit.misfit_px,
        "readings": len(fit.readings),
        "distances": fit.distances,
        "faults": list(fit.faults),
    }
    if sheet is not None:
        figures["data_sheet_gain_off"] = sheet.gain_px_per_dioptre / curve.gain_px_per_dioptre - 1
        figures["data_sheet_focus_off_m"] = sheet.focus_distance_m - curve.focus_distance_m
    if args.json:
        print(json.dumps(figures))
        return
    lines = [
        f"K {curve.gain_px_per_dioptre:.2f} +- {fit.gain_std:.2f} px per dioptre at fx {fx_px:.1f} px, F "
        f"{curve.focus_distance_m:.3f} +- {fit.focus_std_m:.3f} m, floor {curve.blur_floor_px:.2f} +- "
        f"{fit.floor_std_px:.2f} px, {curve.side} side",
        f"{counted(len(fit.readings), 'reading')} at {counted(fit.distances, 'distance')}, {fit.misfit_px:.2f} px off "
        "the curve (median)",
    ]
    if sheet is not None:
        lines.append(
            f"the data sheet's K is off by {figures['data_sheet_gain_off']:+.0%}, its F by "
            f"{figures['data_sheet_focus_off_m']:+.3f} m"
        )
    lines += [f"poor: {fault}" for fault in fit.faults]
    lines.append(f"wrote {args.out} and {chart}: look at the chart")
    print("\n".join(lines), file=sys.stderr)
