# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""~/reload_model and ~/save_snapshot: long work off the executor, its answer when it is done."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from dfd_perception.core.depth_encoding import uint16_mm_from_depth_m
from dfd_perception.core.prediction import Prediction
from dfd_perception.core.stamps import header_stamp_ns
from dfd_perception.errors import DfdPerceptionError, ModelError
from dfd_perception.files.atomic import write_text
from dfd_perception.files.images import write_png
from dfd_perception.files.model_folder import ModelFolder, load_model_folder
from dfd_perception.inference.estimator import DepthEstimator
from dfd_perception.ros.depth_node.frame_pipeline import FramePipeline, LastFrame
from dfd_perception.ros.depth_node.latest_item_worker import LatestItemWorker
from dfd_perception.ros.shared.node_log import Log, one_line

POLL_S = 0.002


class Done:
    """Await a future of another thread inside a service callback.

    rclpy looks at a waiting coroutine whenever the executor wakes up, and only then: so the future wakes it. The short
    wait keeps an executor that is busy anyway from spinning on it.
    """

    def __init__(self, future: Future[Any], wake: Callable[[], None]) -> None:
        self._future = future
        self._wake = wake

    def __await__(self) -> Generator[None, None, Any]:
        done = threading.Event()

        def finished(_: Future[Any]) -> None:
            done.set()
            self._wake()

        self._future.add_done_callback(finished)
        while not done.wait(POLL_S):
            yield
        return self._future.result()


class ModelServices:
    """The callbacks of the node's two services."""

    def __init__(
        self, node: Node, log: Log, running: Callable[[], tuple[FramePipeline, LatestItemWorker[Any]] | None]
    ) -> None:
        """Create the services.

        Args:
            running: the pipeline and its worker; None while the node is not configured.
        """
        # A group of its own: while a callback waits, rclpy runs no other one of its group, and frames must keep coming.
        group = MutuallyExclusiveCallbackGroup()
        node.create_service(Trigger, "~/reload_model", self.reload_model, callback_group=group)
        node.create_service(Trigger, "~/save_snapshot", self.save_snapshot, callback_group=group)
        self._node = node
        self._log = log
        self._running = running
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dfd_services")

    async def reload_model(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Load the model anew, try it on the last frame, put it in; the old one stays if that fails."""
        return await self._answer(response, self._reload)

    async def save_snapshot(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Write the last image, its depth, deblurred image and header to disk."""
        return await self._answer(response, self._snapshot)

    def shutdown(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False)

    def _wake_executor(self) -> None:
        executor = self._node.executor
        if executor is not None:
            executor.create_task(lambda: None)

    async def _answer(
        self, response: Trigger.Response, work: Callable[[FramePipeline, LatestItemWorker[Any]], str]
    ) -> Trigger.Response:
        running = self._running()
        if running is None:
            response.success, response.message = False, "the node is not configured"
            return response
        try:
            response.message = await Done(self._pool.submit(work, *running), self._wake_executor)
            response.success = True
        except Exception as error:  # a service answers, whatever happened
            response.success, response.message = False, one_line(error)
            self._log("error", response.message)
        return response

    def _reload(self, pipeline: FramePipeline, worker: LatestItemWorker[Any]) -> str:
        before, last = pipeline.estimator, pipeline.last
        fresh: DepthEstimator | None = None
        try:
            model = load_model_folder(pipeline.parameters.model)
            fresh = DepthEstimator(model, before.options)
            if last is not None:
                image_rgb = last.frame.image_rgb
                require_sane(fresh.predict(image_rgb, last.lens.curve, last.heads), image_rgb, model.name)
            worker.call(lambda: pipeline.swap(fresh)).result()
        except Exception as error:
            if fresh is not None:
                fresh.close()
            raise ModelError(f"not taken: {one_line(error)}; {_hashes(before.model)} keeps running") from error
        tried = "tried on the last frame" if last is not None else "not tried: no frame came yet"
        message = f"model {model.name}: {_hashes(before.model)} -> {_hashes(model)}, {tried}"
        self._log("info", message)
        return message

    def _snapshot(self, pipeline: FramePipeline, worker: LatestItemWorker[Any]) -> str:
        last = pipeline.last
        if last is None:
            raise DfdPerceptionError("no frame was processed yet (is something subscribed to an output?)")
        heads = pipeline.estimator.model.card.all_heads
        prediction = worker.call(
            lambda: pipeline.estimator.predict(last.frame.image_rgb, last.lens.curve, heads)
        ).result()
        return str(write_snapshot(snapshot_folder(pipeline.parameters.snapshot_dir), last, prediction, pipeline))


def _hashes(model: ModelFolder) -> str:
    graph = "" if model.card.onnx is None else f" (graph {model.card.onnx.sha256[:12]})"
    return f"{model.short_hash}{graph}"


def require_sane(prediction: Prediction, image_rgb: NDArray[np.uint8], name: str) -> None:
    """Refuse weights whose answer is broken.

    Raises:
        ModelError: blur that is not finite, depth without one valid pixel, or a black image.
    """
    if prediction.coc_px is not None and not np.isfinite(prediction.coc_px).all():
        raise ModelError(f"model {name} gives blur that is not finite on the last frame")
    if prediction.deblurred is not None and int(prediction.deblurred.max()) == 0 < int(image_rgb.max()):
        raise ModelError(f"model {name} gives a black deblurred image of the last frame")
    if prediction.coc_px is None and prediction.depth_m is not None and not np.isfinite(prediction.depth_m).any():
        raise ModelError(f"model {name} gives no valid depth on the last frame")


def snapshot_folder(folder: str) -> Path:
    """Where snapshots go."""
    if folder:
        return Path(folder).expanduser()
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return state / "dfd_perception/snapshots"


def write_snapshot(folder: Path, last: LastFrame, prediction: Prediction, pipeline: FramePipeline) -> Path:
    """Write one frame as FOLDER/STAMP/{input,deblurred,depth}.png, defocus.npy and frame.json; returns that folder.

    Raises:
        OSError: it cannot be written.
    """
    target = folder / f"{header_stamp_ns(last.frame.header):019d}"
    target.mkdir(parents=True, exist_ok=True)
    write_png(target / "input.png", last.frame.image_rgb)
    if prediction.deblurred is not None:
        write_png(target / "deblurred.png", prediction.deblurred)
    if prediction.depth_m is not None:
        write_png(target / "depth.png", uint16_mm_from_depth_m(prediction.depth_m))
    if prediction.coc_px is not None:
        np.save(target / "defocus.npy", prediction.coc_px)
    model = pipeline.estimator.model
    curve = last.lens.curve
    described = {
        "stamp_ns": header_stamp_ns(last.frame.header),
        "frame_id": last.frame.header.frame_id,
        "model": model.name,
        "weights_sha256": model.card.weights.sha256,
        "depth_unit": "mm, 0 invalid",
        "focus_distance_m": curve.focus_distance_m if curve else None,
        "gain_px_per_dioptre": curve.gain_px_per_dioptre if curve else None,
        "camera": last.frame.camera.intrinsics.matrix().tolist() if last.frame.camera else None,
    }
    write_text(target / "frame.json", json.dumps(described, indent=2) + "\n")
    return target
