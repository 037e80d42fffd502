# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The node `dfd`: images of one camera in, metric depth and deblurred images out.

A lifecycle node that configures and activates itself (parameter autostart). The executor's thread only receives; one
worker prepares networks, infers and publishes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from dfd_perception.errors import DfdPerceptionError
from dfd_perception.files.model_folder import ModelFolder
from dfd_perception.inference.estimator import DepthEstimator
from dfd_perception.inference.tensorrt.engine_switch import EngineSwitch, wants_engine, while_building
from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters
from dfd_perception.ros.depth_node.frame_decoder import Frame, FrameDecoder
from dfd_perception.ros.depth_node.frame_pipeline import FramePipeline, take_engine
from dfd_perception.ros.depth_node.image_input import ImageInput
from dfd_perception.ros.depth_node.latest_item_worker import LatestItemWorker
from dfd_perception.ros.depth_node.model_check import checked_model
from dfd_perception.ros.depth_node.publishers import OutputPublishers
from dfd_perception.ros.depth_node.services import ModelServices
from dfd_perception.ros.shared.diagnostics import (
    DiagnosticsPublisher,
    Filled,
    Statistics,
    StatusFiller,
    same_name_warning,
)
from dfd_perception.ros.shared.guarded_services import guard_services
from dfd_perception.ros.shared.lossless_subscriptions import published_near
from dfd_perception.ros.shared.managed_node import ManagedNode, spin_node
from dfd_perception.ros.shared.node_log import node_log, one_line
from dfd_perception.ros.shared.parameters import DeclaredParameters

FAILURE = TransitionCallbackReturn.FAILURE


class DfdNode(ManagedNode):
    """Wiring only: messages to the worker, parameters to the pipeline, states to the publishers."""

    def __init__(self, **options: Any) -> None:
        super().__init__("dfd", **options)
        self._declared = DeclaredParameters(self, DfdParameters)
        self._declared.on_change = partial(setattr, self, "_changed", True)
        self._changed = False
        self._log = node_log(self)
        self.pipeline: FramePipeline | None = None
        """None unless configured."""
        self._worker: LatestItemWorker[Frame] | None = None
        self._outputs: OutputPublishers | None = None
        self._diagnostics: DiagnosticsPublisher | None = None
        self.engines: EngineSwitch | None = None
        """None unless configured for TensorRT."""
        self.statistics = Statistics()
        self._status = StatusFiller(self.statistics, self.resolve_topic_name("image"))
        self._input = ImageInput(self, self.statistics, self._status, self._log)
        self._status.publisher_count = self._input.publisher_count
        self._status.published_near = lambda: published_near(self, self._status.topic)
        self._model_services = ModelServices(self, self._log, self.running)
        guard_services(self, self._log)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read parameters, load the model, create publishers; FAILURE with the reason if any of it is wrong."""
        try:
            parameters = self._declared.read()
            model = checked_model(parameters)
            with_engine = wants_engine(parameters.estimator_options())
            self._outputs = OutputPublishers(self, parameters.qos_output, parameters.qos_output_depth)
            self._input.subscribe(parameters)
            self._start(parameters, model, self._outputs, with_engine)
        except Exception as error:  # rclpy would swallow it without a word
            self._log("error", f"not configured: {one_line(error)}")
            self.release()
            return FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let images through."""
        self._input.on_frame = self._take
        self._status.state = "active"
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let no image through; the model stays loaded."""
        self._pause()
        return super().on_deactivate(state)

    def stop(self) -> None:
        """End the threads; before the node is destroyed."""
        self._model_services.shutdown()
        super().stop()

    def _start(
        self, parameters: DfdParameters, model: ModelFolder, outputs: OutputPublishers, with_engine: bool
    ) -> None:
        options = parameters.estimator_options()
        estimator = DepthEstimator(model, while_building(options) if with_engine else options)
        if with_engine:
            self.engines = EngineSwitch(lambda ready: take_engine(self.running(), ready), self._log)
        answered = None if self.engines is None else self.engines.consider
        decoder = FrameDecoder(self._input.infos, self._status.topic)
        pipeline = FramePipeline(estimator, parameters, outputs, decoder, self.statistics, self._log, answered)
        worker = LatestItemWorker(pipeline.process, self._on_error, "dfd_worker")
        worker.call(estimator.prepare)  # while the images are looked for, not when the first has come
        self.pipeline, self._worker = pipeline, worker
        self._input.on_jump = worker.clear
        self._input.max_age_s = parameters.max_age_s
        self._status.dropped = lambda: worker.dropped
        self._diagnostics = DiagnosticsPublisher(self, parameters.diagnostics_period_s, self._filled_status)
        self._declared.locked = True
        self._log("info", f"model {model.name} ({model.card.variant}, target {model.card.target}, {model.short_hash})")

    def _take(self, frame: Frame) -> None:
        if self._worker is None or self.pipeline is None:
            return
        if self._changed:
            self._apply_changes(self.pipeline, self._worker)
        self._worker.submit(frame)

    def _pause(self) -> None:
        self._input.on_frame = None
        self._status.state = "inactive"
        if self._worker is not None:
            self._worker.clear()

    def release(self) -> None:
        """Let go of the model, the publishers and the threads."""
        self._pause()
        self._declared.locked = False
        if self.engines is not None:
            self.engines.close()
            self.engines = None
        if self._worker is not None and self.pipeline is not None:
            ended = self._worker.stop()
            # A compilation in work cannot be interrupted: then its memory goes with the process.
            if ended:
                self.pipeline.close()
        if self._outputs is not None:
            self._outputs.destroy()
        if self._diagnostics is not None:
            self._diagnostics.destroy()
        self.pipeline = self._worker = self._outputs = self._diagnostics = None

    def running(self) -> tuple[FramePipeline, LatestItemWorker[Frame]] | None:
        """The pipeline and the thread that it runs on; None unless configured."""
        return None if self.pipeline is None or self._worker is None else (self.pipeline, self._worker)

    def _apply_changes(self, pipeline: FramePipeline, worker: LatestItemWorker[Frame]) -> None:
        self._changed = False
        try:
            parameters = self._declared.read()
        except DfdPerceptionError as error:
            self._log("error", f"parameters are not applied: {one_line(error)}")
            return
        self._input.max_age_s = parameters.max_age_s
        worker.call(lambda: pipeline.apply(parameters))

    def _on_error(self, error: Exception) -> None:
        if self.context.ok():
            self.statistics.refused += 1
            self.statistics.note_error(one_line(error))
            self._log("error", f"frame refused: {one_line(error)}")

    def _filled_status(self) -> Filled:
        if self.pipeline is not None:
            model = self.pipeline.estimator.model
            self._status.facts = {"model": model.name, "weights hash": model.short_hash}
            if self.engines is not None and self.engines.status:
                self._status.facts["engine build"] = self.engines.status
        self._status.set_warning("name", same_name_warning(self))
        return self._status()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until a signal ends it."""
    return spin_node(DfdNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
