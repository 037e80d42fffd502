# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The lens of each frame, and the log lines about it: each once, until what it says changes."""

from __future__ import annotations

from dfd_perception.files.model_folder import ModelFolder
from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters
from dfd_perception.ros.depth_node.frame_decoder import DecodedFrame
from dfd_perception.ros.depth_node.lens_setup import LensState, describe_lens, lens_state
from dfd_perception.ros.depth_node.publishers import METRIC
from dfd_perception.ros.shared.node_log import Log


class LensNarrator:
    """Owned by the worker's thread."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._logged: dict[str, object] = {}
        """Subject to the fact that was logged last."""

    def lens(self, model: ModelFolder, parameters: DfdParameters, frame: DecodedFrame) -> LensState:
        """The lens for a frame; empty for models that have theirs in the weights."""
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

    def explain_missing(self, model: ModelFolder, heads: str, wanted: frozenset[str], lens: LensState) -> None:
        """Say why a topic that somebody subscribes to stays silent.

        Args:
            heads: parameter `heads`.
        """
        lacking = model.card.target != "depth" and lens.curve is None
        if lacking and lens.problem and self._is_new("depth", lens.problem):
            text = f"no depth from model {model.name}, which measures blur: {lens.problem}"
            self._log("warning", f"{text}. defocus/image and deblurred/image are published")
        if wanted & METRIC and heads == "deblurred" and self._is_new("heads", heads):
            self._log("warning", "depth is subscribed to, but parameter heads is deblurred")

    def forget(self) -> None:
        """Say everything again: another model or other parameters."""
        self._logged.clear()

    def _explain_camera(self, frame: DecodedFrame) -> None:
        if self._is_new("camera", frame.camera_problem) and frame.camera_problem is not None:
            self._log("warning", f"camera_info is not used: {frame.camera_problem}")
        if frame.camera is not None and self._is_new("rectified", frame.camera):
            self._log("info", frame.camera.described())
            for line in frame.camera.notes:
                self._log("warning", line)

    def _is_new(self, subject: str, fact: object) -> bool:
        before = self._logged.get(subject)
        self._logged[subject] = fact
        return fact != before
