# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Time of the network alone, without ROS."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from dfd_perception.core.prediction import Heads
from dfd_perception.core.size import Size
from dfd_perception.files.model_folder import ModelFolder
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions

WARM_UPS = 3


def times_ms(function: Callable[[], Any], runs: int) -> list[float]:
    """How long each of `runs` calls took [ms], after a few that do not count."""
    for _ in range(WARM_UPS):
        function()
    result = []
    for _ in range(runs):
        started = time.perf_counter()
        function()
        result.append((time.perf_counter() - started) * 1e3)
    return result


def compare_heads(model: ModelFolder, options: EstimatorOptions, size: Size, runs: int) -> dict[str, Any]:
    """Inference times of both heads and of the depth head alone; runs alternate, so that a busy machine hits both.

    Returns:
        Medians [ms], and the ratio of the depth head alone to both.
    """
    estimator = DepthEstimator(model, options)
    image = np.random.default_rng(0).random((1, 3, size[0] + -size[0] % 32, size[1] + -size[1] % 32), np.float32)
    heads: tuple[Heads, Heads] = ("both", "depth")
    chosen = [estimator.compiled(size, one).chosen for one in heads]
    times: list[list[float]] = [[], []]
    for _ in range(runs + WARM_UPS):
        for index, one in enumerate(chosen):
            started = time.perf_counter()
            one.backend.run(image)
            times[index].append((time.perf_counter() - started) * 1e3)
    both, depth = (float(np.median(t[WARM_UPS:])) for t in times)
    result = {
        "size": f"{size[1]}x{size[0]}",
        "backend": chosen[0].backend.name,
        "both_ms": round(both, 2),
        "depth_ms": round(depth, 2),
        "ratio": round(depth / both, 3),
    }
    estimator.close()
    return result
