# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the worker does with one image: decode, run the heads that are asked for, publish."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from dfd_perception.core.camera_info import ImageCamera, image_camera
from dfd_perception.core.prediction import Heads, Prediction
from dfd_perception.errors import CalibrationError
from dfd_perception.inference.estimator import DepthEstimator
from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters
from dfd_perception.ros.depth_node.lens_setup import LensState, describe_lens, lens_state
from dfd_perception.ros.depth_node.publishers import METRIC, OutputPublishers, heads_for
from dfd_perception.ros.shared.camera_infos import CameraInfoBuffer
from dfd_perception.ros.shared.conversions import rgb_of
from dfd_perception.ros.shared.diagnostics import Statistics
from dfd_perception.ros.shared.node_log import Log


@dataclass(frozen=True)
class Frame:
    """An image message as the callback got it."""

    message: Image | CompressedImage
    received_s: float
    """Monotonic time of its arrival."""


@dataclass(frozen=True)
class LastFrame:
    """What a snapshot and a trial of new weights need of the last frame."""

    header: Header
    image_rgb: NDArray[np.uint8]
    camera: ImageCamera | None
    lens: LensState
    heads: Heads


class FramePipeline:
    """Owned by the worker's thread; `estimator` changes between two frames only."""

    def __init__(
        self,
        estimator: DepthEstimator,
        parameters: DfdParameters,
        outputs: OutputPublishers,
        infos: CameraInfoBuffer,
        image_topic: str,
        statistics: Statistics,
        log: Log,
    ) -> None:
        self.estimator = estimator
        self.parameters = parameters
        self.last: LastFrame | None = None
        self.on_answered: Callable[[DepthEstimator, tuple[int, int], Heads], None] | None = None
        """Told after each frame what ran: the estimator, height and width of the image, the heads."""
        self._previous: DepthEstimator | None = None
        self._outputs = outputs
        self._infos = infos
        self._image_topic = image_topic
        self._statistics = statistics
        self._log = log
        self._said: dict[str, object] = {}
        self._compiled: set[tuple[int, Heads, tuple[int, int]]] = set()

    def process(self, frame: Frame) -> None:
        """Answer one frame.

        Raises:
            DfdPerceptionError: it cannot be read or run.
        """
        started = time.monotonic()
        wanted = self._outputs.wanted()
        if not wanted:
            return
        message = frame.message
        header = message.header
        info = self._infos.for_image(header)
        image = rgb_of(message)
        size = (image.shape[0], image.shape[1])
        decoded = time.monotonic()
        camera = self._camera(info, size)
        lens = self._lens(camera, size)
        metric = lens.curve is not None or self.estimator.model.card.target == "depth"
        heads = heads_for(wanted, self.estimator.model.card.heads, self.parameters.heads, metric)
        self._explain_missing(wanted, lens, metric)
        stages = {"decode": decoded - started, "wait": started - frame.received_s}
        output_size = self.estimator.options.output_size or size
        if heads is not None:
            prediction = self._predict(image, lens, heads)
            predicted = time.monotonic()
            self.last = LastFrame(header, image, camera, lens, heads)
            self._outputs.publish(
                wanted,
                header,
                prediction,
                image,
                camera,
                depth_encoding=self.parameters.depth_encoding,
                colour_encoding="bgr8" if getattr(message, "encoding", "").startswith("bgr") else "rgb8",
                colour_range_m=self.parameters.colour_range_m,
            )
            stages.update(prediction.latency_s, publish=time.monotonic() - predicted)
            self._note(prediction, heads, size)
            if self.on_answered is not None:
                self.on_answered(self.estimator, size, heads)
        if info is not None and camera is not None:
            self._outputs.publish_camera_info(wanted, header, info, size, output_size)
        if heads is not None:
            stages["total"] = time.monotonic() - frame.received_s
            self._statistics.add_latencies(stages)
            self._statistics.answered.tick()

    def swap(self, estimator: DepthEstimator) -> None:
        """Put another estimator in, between two frames; the old one comes back if the first frame fails."""
        if self._previous is not None:
            self._previous.close()
        self._previous, self.estimator = self.estimator, estimator
        self._said.clear()

    def close(self) -> None:
        """Release the estimators."""
        for estimator in (self.estimator, self._previous):
            if estimator is not None:
                estimator.close()
        self._previous = None

    def apply(self, parameters: DfdParameters) -> None:
        """Take over what may change while running."""
        self.parameters = parameters
        self._said.clear()
        options = self.estimator.options
        fresh = parameters.estimator_options()
        self.estimator.options = replace(
            options,
            depth_min_m=fresh.depth_min_m,
            depth_max_m=fresh.depth_max_m,
            depth_max_rel_std=fresh.depth_max_rel_std,
        )

    def _predict(self, image: NDArray[np.uint8], lens: LensState, heads: Heads) -> Prediction:
        size = (image.shape[0], image.shape[1])
        key = (id(self.estimator), heads, size)
        if key not in self._compiled:
            self._log("info", f"preparing the network for {size[1]}x{size[0]} pixels, heads: {heads}")
            started = time.monotonic()
        try:
            prediction = self.estimator.predict(image, lens.curve, heads)
        except Exception:
            if self._previous is None:
                raise
            self.estimator.close()
            self.estimator, self._previous = self._previous, None
            self._log("error", "the new estimator failed on its first frame: back to the one before")
            raise
        if key not in self._compiled:
            self._compiled.add(key)
            chosen = self.estimator.backend_for(size, heads)
            skipped = "".join(f"; not {name}: {why}" for name, why in chosen.passed_over.items())
            what = f"{chosen.backend.name} {chosen.backend.precision} on {chosen.backend.device}"
            seconds = time.monotonic() - started
            self._log("info", f"{what} ({chosen.reason}{skipped}) is ready after {seconds:.1f} s")
        if self._previous is not None:
            self._previous.close()
            self._previous = None
        return prediction

    def _camera(self, info: CameraInfo | None, size: tuple[int, int]) -> ImageCamera | None:
        if info is None:
            return None
        try:
            camera = image_camera(info, size, self._image_topic, self.parameters.rectified)
        except CalibrationError as error:
            self._once("camera", str(error), "warning", f"camera_info is not used: {error}")
            return None
        self._said.pop("camera", None)
        if self._said.get("rectified") != camera:
            self._said["rectified"] = camera
            self._log("info", camera.described())
            for line in camera.notes:
                self._log("warning", line)
        return camera

    def _lens(self, camera: ImageCamera | None, size: tuple[int, int]) -> LensState:
        if self.estimator.model.card.target == "depth":
            return LensState(None)
        misfit = self._said.get("camera")
        intrinsics = None if camera is None else camera.intrinsics
        lens = lens_state(self.estimator.model, self.parameters, intrinsics, str(misfit) if misfit else None)
        if lens.curve is not None and self._said.get("lens") != (lens.curve, size):
            self._said["lens"] = (lens.curve, size)
            information, warnings = describe_lens(self.estimator.model, self.parameters, lens.curve, size)
            for line in (*warnings, *lens.notes):
                self._log("warning", line)
            for line in information:
                self._log("info", line)
        return lens

    def _explain_missing(self, wanted: frozenset[str], lens: LensState, metric: bool) -> None:
        if not metric and lens.problem:
            text = f"no depth from model {self.estimator.model.name}, which measures blur: {lens.problem}"
            self._once("depth", lens.problem, "warning", f"{text}. defocus/image and deblurred/image are published")
        if wanted & METRIC and self.parameters.heads == "deblurred":
            self._once("heads", "deblurred", "warning", "depth is subscribed to, but parameter heads is deblurred")

    def _once(self, subject: str, fact: object, severity: str, message: str) -> None:
        """Log when a fact about a subject is new."""
        if self._said.get(subject) != fact:
            self._said[subject] = fact
            self._log(severity, message)

    def _say_change(self, subject: str, runs: str, passed_over: dict[str, str]) -> None:
        """Log when a network runs by another backend than for the frame before."""
        before = self._said.get(subject, runs)
        if before != runs:
            why = "; ".join(f"{name}: {reason}" for name, reason in passed_over.items())
            self._log("warning", f"{runs} runs instead of {before} ({why})")
        self._said[subject] = runs

    def _note(self, prediction: Prediction, heads: Heads, size: tuple[int, int]) -> None:
        if prediction.depth_m is not None:
            self._statistics.invalid_fraction = float(np.isnan(prediction.depth_m).mean())
        chosen = self.estimator.backend_for(size, heads)
        backend = chosen.backend
        self._say_change(f"backend of {heads} {size}", f"{backend.name} {backend.precision}", chosen.passed_over)
        running: dict[str, Any] = {"backend": backend.name, "precision": backend.precision, "device": backend.device}
        running["model hash"] = self.estimator.model.hash_of(backend.name)
        self._statistics.running = {**running, "heads": heads, "size": f"{size[0]}x{size[1]}", **backend.details}
