# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A network compiled for one set of heads and one size of image: it owns the geometry and the backend."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.blur_bins import blur_log_prior
from dfd_perception.core.network_geometry import Geometry
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.prediction import Prediction
from dfd_perception.core.size import Size
from dfd_perception.errors import EngineError
from dfd_perception.files.model_folder import ModelFolder
from dfd_perception.inference.backends.interface import BackendRequest, ImageBackend
from dfd_perception.inference.ladder import ChosenBackend
from dfd_perception.inference.postprocessing import DepthLimits, prediction_of

_log = logging.getLogger(__name__)

Compile = Callable[[BackendRequest, dict[str, str]], ChosenBackend]
"""Compiles a request, passing over the backends named, each with what happened to it."""


Prior = tuple[NDArray[np.float32], ...]
"""What lens and working range leave possible, for networks that take it; empty for the others."""


class LoadedBackend:
    """What one (heads, padded size) runs on; an engine that breaks gives way to the next backend of `auto`."""

    def __init__(self, request: BackendRequest, compile_: Compile, may_change: bool) -> None:
        """Compile.

        Raises:
            BackendError: it cannot be compiled.
        """
        self.request = request
        self._compile = compile_
        self._may_change = may_change
        self.chosen = compile_(request, {})

    def run(
        self, image_rgb: NDArray[np.uint8], geometry: Geometry, prior: Prior
    ) -> tuple[dict[str, NDArray[Any]], float]:
        """Outputs by name, and the seconds that preparing the image took.

        Raises:
            BackendError: it broke while running and nothing may take its place.
        """
        started = time.perf_counter()
        backend = self.chosen.backend
        takes_images = isinstance(backend, ImageBackend)
        batch: Any = geometry.to_network_uint8(image_rgb) if takes_images else geometry.to_network(image_rgb)
        prepared_s = time.perf_counter() - started
        try:
            run = backend.run_image if isinstance(backend, ImageBackend) else backend.run
            return run(batch, *prior), prepared_s
        except EngineError as error:
            if not self._may_change:
                raise
            self._replace(error)
            return self.chosen.backend.run(geometry.to_network(image_rgb), *prior), prepared_s

    def close(self) -> None:
        """Release the backend with its memory and threads."""
        self.chosen.backend.close()

    def _replace(self, error: EngineError) -> None:
        broken = self.chosen.backend
        _log.warning("%s broke while running, the next backend takes over: %s", broken.name, error)
        self.chosen = self._compile(self.request, {broken.name: f"broke while running: {error}"})
        with contextlib.suppress(EngineError):  # a GPU that reported an error may not even release
            broken.close()


class CompiledNetwork:
    """Answers images of one size; valid until the estimator compiles another or is closed."""

    def __init__(
        self,
        model: ModelFolder,
        geometry: Geometry,
        loaded: LoadedBackend,
        limits: DepthLimits,
        output_size: Size | None,
    ) -> None:
        self.geometry = geometry
        self._model, self._loaded, self._limits, self._output_size = model, loaded, limits, output_size

    @property
    def chosen(self) -> ChosenBackend:
        """The backend that runs, and why it is this one."""
        return self._loaded.chosen

    def predict(
        self, image_rgb: NDArray[np.uint8], curve: DefocusCurve | None = None, with_std: bool = True
    ) -> Prediction:
        """Run one image.

        Args:
            image_rgb: (H, W, 3) uint8 RGB of `geometry.image_size`.
            curve: the lens at this image's resolution; without it a `coc` model gives blur but no depth.
                Ignored by `depth` models, whose lens is part of their weights.
            with_std: also standard deviations; without them half of the time after the network is saved.

        Returns:
            Maps of the size that the estimator's options ask for, or of the image's.

        Raises:
            ImageError: an image of another shape.
            BackendError: the network breaks while running.
        """
        started = time.perf_counter()
        outputs, preprocess_s = self._loaded.run(image_rgb, self.geometry, self._prior(curve))
        inferred = time.perf_counter()
        prediction = prediction_of(
            outputs, self.geometry, curve, self._model, self._limits, self._output_size, with_std
        )
        prediction.latency_s.update(
            preprocess=preprocess_s,
            inference=inferred - started - preprocess_s,
            postprocess=time.perf_counter() - inferred,
        )
        return prediction

    def _prior(self, curve: DefocusCurve | None) -> Prior:
        bins = self._model.card.blur_bins
        if not bins or curve is None:
            return ()
        at_network = curve.scaled(self.geometry.network_size[1] / self.geometry.image_size[1])
        return (blur_log_prior(at_network, bins, self._limits.min_m, self._limits.max_m),)
