# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What is evaluated: a model, what a running node answered, and the baselines that a model has to beat."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from dfd_perception.core.classical_dfd import classical_depth_m, defocus_map_px
from dfd_perception.core.prediction import Prediction
from dfd_perception.core.size import Size
from dfd_perception.evaluation.sources.frame import EvaluationFrame
from dfd_perception.files.model_folder import ModelFolder
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions

BASELINES = {
    "constant": "the one distance that fits the truth best",
    "classical": "blur measured at edges and spread (Zhuo & Sim 2011), through the lens equation",
    "sharp": "the same model fed the all-in-focus image: it reads blur only if this is worse",
}


FARTHEST_M = 10.0
"""Where the classical baseline stops when the protocol has no cap."""


class Predictor(Protocol):
    """Answers a frame; None where it gives no answer."""

    variant: str

    def predict(self, frame: EvaluationFrame) -> Prediction | None:
        """Depth, blur, deblurred image, as far as it goes."""
        ...


class ModelPredictor:
    """A model on the defocused image."""

    variant = "model"

    def __init__(self, estimator: DepthEstimator) -> None:
        self._estimator = estimator
        self._heads = estimator.model.card.all_heads

    def predict(self, frame: EvaluationFrame) -> Prediction | None:
        """Compiling for a new size is not part of the latency."""
        return self._estimator.compiled(frame.size, self._heads).predict(frame.defocused, frame.curve)

    def runtime(self, frame_size: Size) -> dict[str, Any]:
        """Backend and device that ran."""
        chosen = self._estimator.compiled(frame_size, self._heads).chosen
        backend = chosen.backend
        return {"backend": backend.name, "device": backend.device, "precision": backend.precision, **backend.details}


def described_model(model: ModelFolder, options: EstimatorOptions) -> dict[str, Any]:
    """The `model` section of the report, before anything ran."""
    return {
        "name": model.name,
        "sha256": model.card.weights.sha256,
        "variant": model.card.variant,
        "target": model.card.target,
        "heads": list(model.card.heads),
        "precision": options.precision,
        "input_size": list(options.input_size) if options.input_size else None,
        "valid_depth_m": [options.depth_min_m, options.depth_max_m],
        "max_rel_std": options.depth_max_rel_std,
        "training": model.card.training,
    }


class SharpPredictor:
    """The model on the all-in-focus image."""

    variant = "sharp"

    def __init__(self, estimator: DepthEstimator) -> None:
        self._estimator = estimator

    def predict(self, frame: EvaluationFrame) -> Prediction | None:
        """None without an all-in-focus image."""
        if frame.aif is None or "depth" not in self._estimator.model.card.heads:
            return None
        return self._estimator.predict(frame.aif, frame.curve, "depth")


class ClassicalPredictor:
    """Blur of edges through the lens equation."""

    variant = "classical"

    def __init__(self, max_depth_m: float | None = None) -> None:
        # Blur saturates with distance, and a baseline that says "infinity" for it would be too easy to beat.
        self._max_depth_m = FARTHEST_M if max_depth_m is None else max_depth_m

    def predict(self, frame: EvaluationFrame) -> Prediction | None:
        """None without a lens."""
        if frame.curve is None:
            return None
        depth = classical_depth_m(frame.defocused, frame.curve, self._max_depth_m)
        depth = np.where(np.isfinite(depth), depth, np.float32(np.nan))
        return Prediction(depth_m=depth, coc_px=defocus_map_px(frame.defocused))


class ConstantPredictor:
    """The same distance everywhere."""

    variant = "constant"

    def __init__(self, depth_m: float) -> None:
        self.depth_m = depth_m

    def predict(self, frame: EvaluationFrame) -> Prediction:
        """Never looks at the image."""
        return Prediction(depth_m=np.full(frame.size, self.depth_m, np.float32))
