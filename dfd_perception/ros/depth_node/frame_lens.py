# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The lens of each frame, and the log lines about it: each once, until what it says changes."""

from __future__ import annotations

from typing import NamedTuple

from dfd_perception.core.blur_error import ASSUMED, stated_blur_error
from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.lens_outlook import NOT_RESOLVED, outlook
from dfd_perception.core.network_geometry import Geometry
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.size import Size
from dfd_perception.errors import LensError
from dfd_perception.files.model_folder import ModelFolder
from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters, parse_size
from dfd_perception.ros.depth_node.frame_decoder import DecodedFrame
from dfd_perception.ros.depth_node.publishers import METRIC
from dfd_perception.ros.shared.node_log import Log

DISTANCES_M = (1.0, 2.0, 5.0)


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
    geometry = Geometry.fitting(image_size, parse_size("input.size", parameters.input_size))
    seen = model.resized(curve, geometry.scale)
    info = [
        f"lens: blur grows {gain:.1f} px per dioptre, focus at {focus:.2f} m, scene taken to lie {beyond} it; "
        f"between {near:.2f} and {far:.2f} m blur is below 1 px and depth is not resolved",
        _accuracy_line(model, seen),
    ]
    warnings = model.warnings_for(seen)
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
    """What `dfd lens` says of these distances, in one line.

    Args:
        curve: at the resolution that the network sees, where its error was measured.
    """
    stated = stated_blur_error(model.card.metrics)
    error, source = (ASSUMED, "assumed, the model card states none") if stated is None else (stated, "model card")
    parts = []
    for row in outlook(curve, error, DISTANCES_M):
        if row.std_m is None:
            text = "on the other side of the focus"
        elif row.note == NOT_RESOLVED:
            text = "in focus, not resolved"
        elif row.std_m > row.distance_m:
            text = "over +- 100 %"
        else:
            text = f"+- {row.std_m:.3f} m"
        parts.append(f"{row.distance_m:g} m: {text}")
    floor = f" and a floor of {curve.blur_floor_px:.1f} px taken out" if curve.blur_floor_px else ""
    return f"expected accuracy with a blur error of {error.in_words()} ({source}){floor}: {', '.join(parts)}"


class LensNarrator:
    """Owned by the worker's thread."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._logged: dict[str, object] = {}
        """Subject to the fact that was logged last."""
        self._lens: tuple[object, LensState] | None = None
        """What the last lens was worked out from, and the lens."""

    def lens(self, model: ModelFolder, parameters: DfdParameters, frame: DecodedFrame) -> LensState:
        """The lens for a frame; empty for models that have theirs in the weights."""
        of = (model, parameters, frame.camera, frame.camera_problem, frame.size)
        if self._lens is None or self._lens[0] != of:
            self._lens = of, self._worked_out(model, parameters, frame)
        return self._lens[1]

    def explain_missing(self, model: ModelFolder, heads: str, wanted: frozenset[str], lens: LensState) -> str:
        """Say why a topic that somebody subscribes to stays silent.

        Args:
            heads: parameter `heads`.

        Returns:
            Why depth that is subscribed to does not come; empty where it comes or nobody subscribes to it.
        """
        problem = lens.problem if model.card.target != "depth" and lens.curve is None else None
        if problem and self._is_new("depth", problem):
            text = f"no depth from model {model.name}, which measures blur: {problem}"
            self._log("warning", f"{text}. defocus/image and deblurred/image are published")
        left_out = "depth is subscribed to, but parameter heads is deblurred"
        if wanted & METRIC and heads == "deblurred":
            problem = left_out
            if self._is_new("heads", heads):
                self._log("warning", left_out)
        return (problem or "") if wanted & METRIC else ""

    def forget(self) -> None:
        """Say everything again: another model or other parameters."""
        self._logged.clear()
        self._lens = None

    def _worked_out(self, model: ModelFolder, parameters: DfdParameters, frame: DecodedFrame) -> LensState:
        self._explain_camera(frame)
        if model.card.target == "depth":
            return LensState(None)
        intrinsics = None if frame.camera is None else frame.camera.intrinsics
        lens = lens_state(model, parameters, intrinsics, frame.camera_problem)
        if lens.curve is not None and self._is_new("lens", (lens.curve, frame.size)):
            information, warnings = describe_lens(model, parameters, lens.curve, frame.size)
            for line in (*warnings, *lens.notes):
                self._log("warning", line)
            for line in information:
                self._log("info", line)
        return lens

    def _explain_camera(self, frame: DecodedFrame) -> None:
        if self._is_new("camera", frame.camera_problem) and frame.camera_problem is not None:
            self._log("warning", f"camera_info is not used: {frame.camera_problem}")
        if frame.camera is None:
            return
        # By what is said: the principal point of a moving region of interest is another in each image.
        lines = (frame.camera.described(), *frame.camera.notes)
        if self._is_new("rectified", lines):
            self._log("info", lines[0])
            for line in lines[1:]:
                self._log("warning", line)

    def _is_new(self, subject: str, fact: object) -> bool:
        before = self._logged.get(subject)
        self._logged[subject] = fact
        return fact != before
