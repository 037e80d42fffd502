# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the worker does with one image: decode, run the heads that are asked for, publish."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.prediction import Heads
from dfd_perception.core.size import Size
from dfd_perception.inference.estimator import DepthEstimator
from dfd_perception.inference.ladder import ChosenBackend
from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters
from dfd_perception.ros.depth_node.estimator_slot import EstimatorSlot
from dfd_perception.ros.depth_node.frame_decoder import DecodedFrame, Frame, FrameDecoder
from dfd_perception.ros.depth_node.frame_lens import LensNarrator, LensState
from dfd_perception.ros.depth_node.latest_item_worker import LatestItemWorker
from dfd_perception.ros.depth_node.publishers import STD, OutputPublishers, heads_for
from dfd_perception.ros.shared.diagnostics import Statistics
from dfd_perception.ros.shared.node_log import Log

Answered = Callable[[DepthEstimator, Size, Heads], None]
"""Told after each frame what ran: the estimator, height and width of the image, the heads."""


@dataclass(frozen=True)
class LastFrame:
    """What a snapshot and a trial of new weights need of the last frame."""

    frame: DecodedFrame
    lens: LensState
    heads: Heads


class FramePipeline:
    """Owned by the worker's thread; the estimator changes between two frames only."""

    def __init__(
        self,
        estimator: DepthEstimator,
        parameters: DfdParameters,
        outputs: OutputPublishers,
        decoder: FrameDecoder,
        statistics: Statistics,
        log: Log,
        answered: Answered | None = None,
    ) -> None:
        self.parameters = parameters
        self.last: LastFrame | None = None
        self._slot = EstimatorSlot(estimator, log)
        self._narrator = LensNarrator(log)
        self._outputs = outputs
        self._decoder = decoder
        self._statistics = statistics
        self._answered = answered

    @property
    def estimator(self) -> DepthEstimator:
        """The one that answers the next frame."""
        return self._slot.estimator

    def process(self, frame: Frame) -> None:
        """Answer one frame.

        Raises:
            DfdPerceptionError: it cannot be read or run.
        """
        started = time.monotonic()
        wanted = self._outputs.wanted()
        if not wanted:
            self._statistics.depth_problem = ""
            return
        image = self._decoder.decoded(frame, self.parameters.camera_rectified)
        stages = {"decode": time.monotonic() - started, "wait": started - frame.received_s}
        model = self.estimator.model
        output_size = self.estimator.options.output_size or image.size
        lens = self._narrator.lens(model, self.parameters, image)
        metric = lens.curve is not None or model.card.target == "depth"
        heads = heads_for(wanted, model.card.heads, self.parameters.heads, metric)
        self._statistics.depth_problem = self._narrator.explain_missing(model, self.parameters.heads, wanted, lens)
        if heads is not None:
            stages |= self._answer(wanted, image, lens, heads)
        if image.info is not None and image.camera is not None:
            self._outputs.publish_camera_info(wanted, image.header, image.info, image.size, output_size)
        if heads is not None:
            stages["total"] = time.monotonic() - frame.received_s
            self._statistics.add_latencies(stages)
            self._statistics.answered.tick()

    def swap(self, estimator: DepthEstimator) -> None:
        """Put another estimator in, between two frames; the old one comes back if the first frame fails."""
        self._slot.swap(estimator)
        self._narrator.forget()

    def close(self) -> None:
        """Release the estimators."""
        self._slot.close()

    def apply(self, parameters: DfdParameters) -> None:
        """Take over what may change while running."""
        self.parameters = parameters
        self._narrator.forget()
        self._slot.apply(parameters)

    def _answer(self, wanted: frozenset[str], image: DecodedFrame, lens: LensState, heads: Heads) -> dict[str, float]:
        """Predict and publish; returns seconds by stage."""
        early_s = 0.0

        def send(deblurred: NDArray[np.uint8]) -> None:
            # It travels while depth is worked out.
            nonlocal early_s
            began = time.monotonic()
            self._outputs.publish_deblurred(wanted, image.header, deblurred, image.colour_encoding)
            early_s = time.monotonic() - began

        prediction, chosen = self._slot.predict(image, lens, heads, STD in wanted, send)
        self._note(chosen, heads, image.size)  # first: who has got the depth may ask what ran
        predicted = time.monotonic()
        self.last = LastFrame(image, lens, heads)
        self._outputs.publish(
            wanted,
            image.header,
            prediction,
            image.image_rgb,
            image.camera,
            depth_encoding=self.parameters.depth_encoding,
            colour_range_m=self.parameters.colour_range_m,
        )
        seconds = {**prediction.latency_s, "publish": early_s + time.monotonic() - predicted}
        self._statistics.invalid_fraction = invalid_fraction(prediction.depth_m)
        if self._answered is not None:
            self._answered(self.estimator, image.size, heads)
        return seconds

    def _note(self, chosen: ChosenBackend, heads: Heads, size: Size) -> None:
        backend = chosen.backend
        self._statistics.running = {
            "backend": backend.name,
            "precision": backend.precision,
            "device": backend.device,
            "model hash": self.estimator.model.hash_of(backend.name),
            "heads": heads,
            "size": f"{size[1]} x {size[0]}",
            **backend.details,
        }


def invalid_fraction(depth_m: NDArray[np.float32] | None) -> float:
    """Share of the pixels without depth; NaN where no depth was asked for."""
    return float("nan") if depth_m is None else np.count_nonzero(np.isnan(depth_m)) / depth_m.size


def take_engine(running: tuple[FramePipeline, LatestItemWorker[Any]] | None, estimator: DepthEstimator) -> None:
    """Use an estimator whose engine was built meanwhile, unless the model is another one by now.

    Args:
        running: the pipeline and its worker; None when the node has been cleaned up since.
    """
    if running is None:
        estimator.close()
        return
    pipeline, worker = running

    def swap() -> None:
        if pipeline.estimator.model.hash_of("tensorrt") != estimator.model.hash_of("tensorrt"):
            estimator.close()
            return
        estimator.options = pipeline.estimator.options
        pipeline.swap(estimator)

    worker.call(swap).add_done_callback(lambda done: estimator.close() if done.exception() else None)
