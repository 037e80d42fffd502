# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The estimator that answers frames. It is exchanged between two frames, and comes back if the new one fails."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.prediction import Heads, Prediction
from dfd_perception.core.size import Size
from dfd_perception.inference.compiled_network import CompiledNetwork
from dfd_perception.inference.estimator import DepthEstimator
from dfd_perception.inference.ladder import ChosenBackend
from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters
from dfd_perception.ros.depth_node.frame_decoder import DecodedFrame
from dfd_perception.ros.depth_node.frame_lens import LensState
from dfd_perception.ros.shared.node_log import Log

NETWORKS_REMEMBERED = 64


class EstimatorSlot:
    """Owned by the worker's thread; closes every estimator that it was given."""

    def __init__(self, estimator: DepthEstimator, log: Log) -> None:
        self.estimator = estimator
        self._previous: DepthEstimator | None = None
        self._log = log
        self._runs: OrderedDict[tuple[Heads, Size], str] = OrderedDict()
        """What each network ran on for the frame before."""

    def swap(self, estimator: DepthEstimator) -> None:
        """Put another estimator in; the one before is kept until the new one has answered a frame."""
        if self._previous is not None:
            self._previous.close()
        self._previous, self.estimator = self.estimator, estimator
        self._runs.clear()

    def apply(self, parameters: DfdParameters) -> None:
        """Take over what may change while running: which depth is given."""
        fresh = parameters.estimator_options()
        self.estimator.options = replace(
            self.estimator.options,
            depth_min_m=fresh.depth_min_m,
            depth_max_m=fresh.depth_max_m,
            depth_max_rel_std=fresh.depth_max_rel_std,
        )

    def predict(
        self,
        frame: DecodedFrame,
        lens: LensState,
        heads: Heads,
        with_std: bool,
        on_deblurred: Callable[[NDArray[np.uint8]], None],
    ) -> tuple[Prediction, ChosenBackend]:
        """Answer a frame, with standard deviations or without; returns also what ran.

        Args:
            on_deblurred: gets the deblurred image before the depth is there.

        Raises:
            DfdPerceptionError: it cannot be compiled or run.
        """
        try:
            network = self._compiled(frame.size, heads)
            prediction = network.predict(frame.image_rgb, lens.curve, with_std, on_deblurred)
        except Exception:
            self._roll_back()
            raise
        if self._previous is not None:
            self._previous.close()
            self._previous = None
        self._log_change(heads, frame.size, network.chosen)
        return prediction, network.chosen

    def close(self) -> None:
        """Release the estimators."""
        for estimator in (self.estimator, self._previous):
            if estimator is not None:
                estimator.close()
        self._previous = None

    def _compiled(self, size: Size, heads: Heads) -> CompiledNetwork:
        if self.estimator.is_compiled(size, heads):
            return self.estimator.compiled(size, heads)
        self._log("info", f"preparing the network for {size[1]}x{size[0]} pixels, heads: {heads}")
        started = time.monotonic()
        network = self.estimator.compiled(size, heads)
        chosen = network.chosen
        skipped = "".join(f"; not {name}: {why}" for name, why in chosen.passed_over.items())
        what = f"{chosen.backend.name} {chosen.backend.precision} on {chosen.backend.device}"
        self._log("info", f"{what} ({chosen.reason}{skipped}) is ready after {time.monotonic() - started:.1f} s")
        return network

    def _roll_back(self) -> None:
        if self._previous is None:
            return
        self.estimator.close()
        self.estimator, self._previous = self._previous, None
        self._log("error", "the new estimator failed on its first frame: back to the one before")

    def _log_change(self, heads: Heads, size: Size, chosen: ChosenBackend) -> None:
        """Say when a network runs on another backend than for the frame before."""
        runs = f"{chosen.backend.name} {chosen.backend.precision}"
        before = self._runs.get((heads, size), runs)
        if before != runs:
            why = "; ".join(f"{name}: {reason}" for name, reason in chosen.passed_over.items())
            self._log("warning", f"{runs} runs instead of {before} ({why})")
        self._runs[heads, size] = runs
        self._runs.move_to_end((heads, size))
        if len(self._runs) > NETWORKS_REMEMBERED:
            self._runs.popitem(last=False)
