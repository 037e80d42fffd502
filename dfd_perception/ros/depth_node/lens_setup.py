# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From parameters and camera_info to the defocus curve, and what a user should know about it at the start."""

from __future__ import annotations

from typing import NamedTuple

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.network_geometry import Geometry
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.size import Size
from dfd_perception.errors import LensError
from dfd_perception.files.model_folder import ModelFolder, blur_error_px
from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters, parse_size

DISTANCES_M = (1.0, 2.0, 5.0)
ASSUMED_COC_ERROR_PX = 0.5


class LensState(NamedTuple):
    """The curve of the image at hand, or why there is none."""

    curve: DefocusCurve | None
    problem: str | None = None
    notes: tuple[str, ...] = ()


def lens_state(
    model: ModelFolder, parameters: DfdParameters, camera: CameraIntrinsics | None, camera_problem: str | None
) -> LensState:
    """The curve for a `coc` model.

    Args:
        model: its typical blur floor stands in where none is set.
        camera: intrinsics of the image, where a camera_info fits.
        camera_problem: why not, where one came and did not fit.
    """
    try:
        lens = parameters.lens()
        if camera is None and lens.focal_length_mm is None:
            raise LensError(_fx_missing("lens.focal_length_mm and lens.pixel_pitch_um", camera_problem))
        if camera is None and lens.pixel_pitch_um is None:
            raise LensError(_fx_missing("lens.pixel_pitch_um", camera_problem))
        resolved = model.resolve(lens, camera.fx if camera else None)
        return LensState(resolved.curve, notes=resolved.notes)
    except LensError as error:
        return LensState(None, str(error))


def _fx_missing(names: str, camera_problem: str | None) -> str:
    why = camera_problem or "no camera_info came"
    return f"the focal length in pixels is not known: {why}, and {names} not set"


def describe_lens(
    model: ModelFolder, parameters: DfdParameters, curve: DefocusCurve, image_size: Size
) -> tuple[list[str], list[str]]:
    """Lines to log when depth begins: information, and warnings.

    Args:
        curve: at the image's resolution.
        image_size: its (height, width); the network sees it resized to input.size.
    """
    focus, gain = curve.focus_distance_m, curve.gain_px_per_dioptre
    beyond = "beyond" if curve.side == "far" else "nearer than"
    near, far = curve.in_focus_band_m()
    info = [
        f"lens: blur grows {gain:.1f} px per dioptre, focus at {focus:.2f} m, scene taken to lie {beyond} it; "
        f"between {near:.2f} and {far:.2f} m blur is below 1 px and depth is not resolved",
        _accuracy_line(model, curve),
    ]
    geometry = Geometry.fitting(image_size, parse_size("input.size", parameters.input_size))
    warnings = model.warnings_for(model.resized(curve, geometry.scale))
    ambiguous = ambiguity(parameters, curve)
    if ambiguous:
        warnings.append(ambiguous)
    return info, warnings


def ambiguity(parameters: DfdParameters, curve: DefocusCurve) -> str | None:
    """Why the working range cannot be told from its mirror image, or None."""
    focus = curve.focus_distance_m
    low, high = parameters.depth_min_m, parameters.depth_max_m
    if curve.side == "far" and 0 < low < focus:
        wrong, mirror, advice = low, curve.mirror_depth_m(low), f"focus at {low:g} m or nearer, or raise depth.min_m"
    elif curve.side == "near" and high > focus:
        wrong, mirror, advice = high, curve.mirror_depth_m(high), f"focus at {high:g} m or beyond, or lower depth.max_m"
    else:
        return None
    return (
        f"the working range {low:g} to {high:g} m reaches across the focus distance {focus:g} m, and blur is alike on "
        f"both sides: what is at {wrong:g} m is taken for {mirror:.2f} m; {advice}"
    )


def _accuracy_line(model: ModelFolder, curve: DefocusCurve) -> str:
    error = blur_error_px(model.card.metrics)
    source = "measured for this model" if error is not None else "assumed, the model card states none"
    error_px = ASSUMED_COC_ERROR_PX if error is None else error
    parts = []
    for distance in DISTANCES_M:
        outside = distance < curve.focus_distance_m if curve.side == "far" else distance > curve.focus_distance_m
        std_m = distance**2 * error_px / curve.gain_px_per_dioptre
        parts.append(f"{distance:g} m: " + ("on the other side of the focus" if outside else f"+- {std_m:.3f} m"))
    return f"expected accuracy with a blur error of {error_px:.2f} px ({source}): {', '.join(parts)}"
