# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What a lens can give: blur and accuracy at each distance, where it is blind, and whether a model fits it.

The lens is a LENS.yaml, or words: focal length, f-number, focus distance, and the pitch of the pixels of the images as
they are used (twice that of the sensor where they are shrunk to half). Instead of the pitch, --fx: calibrated.

    dfd lens 35mm f/2.8 1.7m --pitch 36um
    dfd lens lens.yaml --fx 1250 --out lens.png
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from dfd_perception.errors import LensError, ModelError, UsageError

if TYPE_CHECKING:
    from dfd_perception.core.blur_error import BlurError
    from dfd_perception.core.lens import LensDescription
    from dfd_perception.core.optics import DefocusCurve
    from dfd_perception.files.model_folder import ModelFolder

DEFAULT_MODEL = "2hded-small"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd lens`."""
    parser.add_argument("lens", nargs="+", metavar="LENS", help="LENS.yaml, or words such as 35mm f/2.8 1.7m")
    parser.add_argument("--pitch", metavar="UM", help="pixel pitch of the images as they are used, such as 36um")
    parser.add_argument("--fx", type=float, metavar="PX", help="calibrated focal length [px] of the images")
    parser.add_argument("--side", choices=("far", "near"), help="where the scene lies (default: far)")
    parser.add_argument("--floor", type=float, metavar="PX",
                        help="blur diameter [px] of what is in focus (default: the model's)")  # fmt: skip
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="M", help="model to fit (default: %(default)s)")
    parser.add_argument("--blur-std", type=float, metavar="PX", help="error of a blur reading (default: the model's)")
    parser.add_argument("--at", type=float, nargs="+", metavar="M", help="distances [m] (default: around the focus)")
    parser.add_argument("--out", type=Path, metavar="FILE.png", help="write a plot")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the table; write the plot where one is asked for."""
    from dfd_perception.core.lens_outlook import outlook, summary_lines, table_text, usual_distances_m

    _check(args)
    lens, model = _lens(args), _model(args.model)
    card = None if model is None else model.card
    resolved = lens.resolved(args.fx) if model is None else model.resolve(lens, args.fx)
    curve = resolved.curve
    largest = card.trained.coc_px[1] if card and card.trained.coc_px else None
    error, source = _blur_error(args, model)
    rows = outlook(curve, error, args.at or usual_distances_m(curve), largest)
    name = _name(lens, resolved.fx_px)
    notes = [*resolved.notes, *(model.warnings_for(curve) if model else [])]
    if args.out:
        _write_plot(args.out, curve, error, name, largest)
    if args.json:
        print(json.dumps({
            "lens": asdict(lens), "fx_px": resolved.fx_px, "gain_px_per_dioptre": curve.gain_px_per_dioptre,
            "in_focus_m": [value if value < 1e6 else None for value in curve.in_focus_band_m()],
            "blur_std_px": error.mae_px, "notes": notes, "distances": [asdict(row) for row in rows],
        }, indent=2))  # fmt: skip
        return 0
    print("\n".join([name, *summary_lines(curve), *_trained(model)]))
    for note in notes:
        print(f"note: {note}")
    print(f"\n{table_text(rows)}\n")
    print(f"accuracy: one standard deviation, for a blur error of {error.in_words()} ({source})")
    if args.out:
        print(f"plot: {args.out}")
    return 0


def _check(args: argparse.Namespace) -> None:
    for distance_m in args.at or ():
        if not 0 < distance_m < float("inf"):
            raise UsageError(f"--at {distance_m:g}: distances must be positive, in metres")
    if args.blur_std is not None and not args.blur_std > 0:
        raise UsageError(f"--blur-std is {args.blur_std:g}; expected a positive number of pixels")
    if args.out and args.out.suffix.lower() != ".png":
        raise UsageError(f"--out {args.out}: plots are written as .png")


def _lens(args: argparse.Namespace) -> LensDescription:
    from dataclasses import replace

    from dfd_perception.core.lens_text import lens_from_text
    from dfd_perception.files.lens_file import read_lens

    words = [*args.lens]
    options = {"side": args.side, "blur_floor_px": args.floor}
    if len(words) == 1 and (Path(words[0]).suffix in (".yaml", ".yml") or Path(words[0]).is_file()):
        options["pixel_pitch_um"] = _pitch_um(args.pitch)
        stated = {name: value for name, value in options.items() if value is not None}
        return replace(read_lens(Path(words[0])), **stated)
    if args.pitch:
        words.append(f"{_pitch_um(args.pitch):g}um")
    return lens_from_text(words, **options)


def _pitch_um(text: str | None) -> float | None:
    if text is None:
        return None
    number = text.lower().removesuffix("um").removesuffix("\N{MICRO SIGN}m").removesuffix("\N{GREEK SMALL LETTER MU}m")
    try:
        return float(number)
    except ValueError:
        raise LensError(f"--pitch is {text!r}; expected micrometres, such as 36um") from None


def _model(name: str) -> ModelFolder | None:
    """The model; None where the default one is not installed."""
    from dfd_perception.files.model_folder import load_model_folder

    try:
        model = load_model_folder(name, verify=False)
    except ModelError:
        if name != DEFAULT_MODEL:
            raise
        return None
    if model.card.target != "coc":
        raise UsageError(f"model {model.name} knows its own lens only; give one that measures blur")
    return model


def _blur_error(args: argparse.Namespace, model: ModelFolder | None) -> tuple[BlurError, str]:
    """Error of a blur reading, and where it is from."""
    from dfd_perception.core.blur_error import ASSUMED, BlurError, stated_blur_error

    if args.blur_std is not None:
        return BlurError(args.blur_std), "given"
    stated = None if model is None else stated_blur_error(model.card.metrics)
    if stated is None:
        return ASSUMED, "assumed"
    assert model is not None
    return stated, f"mean error of {model.name} in its validation"


def _name(lens: LensDescription, fx_px: float) -> str:
    optics = f"aperture {lens.diameter_mm:.1f} mm"
    if lens.focal_length_mm is not None:
        optics = f"{lens.focal_length_mm:g} mm f/{lens.focal_length_mm / lens.diameter_mm:.3g} ({optics})"
    return f"{optics}, focused at {lens.focus_distance_m:g} m, fx {fx_px:.0f} px"


def _trained(model: ModelFolder | None) -> list[str]:
    if model is None:
        return []
    trained, parts = model.card.trained, []
    if trained.gain_px_per_dioptre:
        parts.append("K {:g} to {:g} px per dioptre".format(*trained.gain_px_per_dioptre))
    if trained.coc_px:
        parts.append(f"blur up to {trained.coc_px[1]:g} px")
    return [f"model {model.name} was trained for {' and '.join(parts)}"] if parts else []


def _write_plot(path: Path, curve: DefocusCurve, error: BlurError, name: str, largest_px: float | None) -> None:
    from dfd_perception.core.lens_plot import lens_plot
    from dfd_perception.files.images import write_png

    write_png(path, lens_plot(curve, error, name, largest_px))
