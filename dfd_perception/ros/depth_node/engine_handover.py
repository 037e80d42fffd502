# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""An engine that was built beside the running node, taken into it."""

from __future__ import annotations

from typing import Any

from dfd_perception.inference.estimator import DepthEstimator
from dfd_perception.ros.depth_node.frame_pipeline import FramePipeline
from dfd_perception.ros.depth_node.latest_item_worker import LatestItemWorker


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
