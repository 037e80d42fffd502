# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A network compiled for one set of heads and one size of image: it owns the geometry and the backend."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.blur_bins import blur_log_prior
from dfd_perception.core.network_geometry import Geometry
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.prediction import Prediction
from dfd_perception.core.size import Size
from dfd_perception.errors import EngineError
from dfd_perception.files.model_folder import ModelFolder
from dfd_perception.inference.backends.interface import BackendRequest, ImageBackend, InferenceBackend
from dfd_perception.inference.backends.table import AUTO
from dfd_perception.inference.ladder import ChosenBackend, compile_backend

_log = logging.getLogger(__name__)

Prior = tuple[NDArray[np.float32], ...]
"""What lens and working range leave possible, for networks that take it; empty for the others."""


@dataclass(frozen=True, kw_only=True)
class MapOptions:
    """Size of the maps that are given, and which depth: any other becomes NaN, never a valid distance."""

    output_size: Size | None = None
    """Height and width [px] of the maps; None = the image's size."""
    depth_min_m: float = 0.0
    depth_max_m: float = float("inf")
    depth_max_rel_std: float = 0.0
    """Largest standard deviation as a fraction of the depth; 0 = any."""

    def drop_outside(self, depth_m: NDArray[np.float32]) -> None:
        """Set to NaN, in place, what is outside the range, zero or infinite."""
        outside = depth_m > min(self.depth_max_m, float(np.finfo(np.float32).max))
        outside |= depth_m < max(self.depth_min_m, float(np.finfo(np.float32).tiny))
        depth_m[outside] = np.nan

    def drop_uncertain(self, depth_m: NDArray[np.float32], std_m: NDArray[np.float32]) -> None:
        """Set to NaN, in place, where the standard deviation is too large or not known."""
        if self.depth_max_rel_std > 0:
            unsure = ~(std_m <= self.depth_max_rel_std * depth_m)
            depth_m[unsure] = np.nan
            std_m[unsure] = np.nan


class LoadedBackend:
    """What one (heads, padded size) runs on; an engine that breaks gives way to the next backend of `auto`."""

    def __init__(self, request: BackendRequest, backend_name: str) -> None:
        """Compile.

        Args:
            request: what to compile.
            backend_name: which backend, or auto.

        Raises:
            BackendError: it cannot be compiled.
        """
        self.request, self._backend_name = request, backend_name
        self.chosen = compile_backend(request, backend_name)

    def run(
        self, image_rgb: NDArray[np.uint8], geometry: Geometry, prior: Prior
    ) -> tuple[dict[str, NDArray[Any]], float]:
        """Outputs by name, and the seconds that preparing the image took.

        Raises:
            BackendError: it broke while running and nothing may take its place.
        """
        try:
            return _timed_run(self.chosen.backend, image_rgb, geometry, prior)
        except EngineError as error:
            if self._backend_name != AUTO:
                raise
            self._replace(error)
            return _timed_run(self.chosen.backend, image_rgb, geometry, prior)

    def close(self) -> None:
        """Release the backend with its memory and threads."""
        self.chosen.backend.close()

    def _replace(self, error: EngineError) -> None:
        broken = self.chosen.backend
        _log.warning("%s broke while running, the next backend takes over: %s", broken.name, error)
        self.chosen = compile_backend(self.request, AUTO, {broken.name: f"broke while running: {error}"})
        with contextlib.suppress(EngineError):  # a GPU that reported an error may not even release
            broken.close()


def _timed_run(
    backend: InferenceBackend, image_rgb: NDArray[np.uint8], geometry: Geometry, prior: Prior
) -> tuple[dict[str, NDArray[Any]], float]:
    """As `LoadedBackend.run`, on one backend."""
    started = time.perf_counter()
    takes_images = isinstance(backend, ImageBackend)
    batch: Any = geometry.to_network_uint8(image_rgb) if takes_images else geometry.to_network(image_rgb)
    prepared_s = time.perf_counter() - started
    run = backend.run_image if isinstance(backend, ImageBackend) else backend.run
    return run(batch, *prior), prepared_s


class CompiledNetwork:
    """Answers images of one size; valid until the estimator compiles another or is closed."""

    def __init__(self, model: ModelFolder, geometry: Geometry, loaded: LoadedBackend, options: MapOptions) -> None:
        self.geometry = geometry
        self._model, self._loaded, self._options = model, loaded, options

    @property
    def chosen(self) -> ChosenBackend:
        """The backend that runs, and why it is this one."""
        return self._loaded.chosen

    def predict(
        self,
        image_rgb: NDArray[np.uint8],
        curve: DefocusCurve | None = None,
        with_std: bool = True,
        on_deblurred: Callable[[NDArray[np.uint8]], None] | None = None,
    ) -> Prediction:
        """Run one image.

        Args:
            image_rgb: (H, W, 3) uint8 RGB of `geometry.image_size`.
            curve: the lens at this image's resolution; without it a `coc` model gives blur but no depth.
                Ignored by `depth` models, whose lens is part of their weights.
            with_std: also standard deviations; without them half of the time after the network is saved.
            on_deblurred: gets the deblurred image before depth is worked out of blur; its time counts to no stage.

        Returns:
            Maps of the size that the estimator's options ask for, or of the image's.

        Raises:
            ImageError: an image of another shape.
            BackendError: the network breaks while running.
        """
        started = time.perf_counter()
        outputs, preprocess_s = self._loaded.run(image_rgb, self.geometry, self._prior(curve))
        inferred = time.perf_counter()
        deblurred = None
        if "deblurred" in outputs:
            deblurred = self.geometry.image_from_network(outputs["deblurred"][0], self._options.output_size)
        image_done = time.perf_counter()
        if deblurred is not None and on_deblurred is not None:
            on_deblurred(deblurred)
        resumed = time.perf_counter()
        prediction = self._prediction(outputs, curve, with_std, deblurred)
        prediction.latency_s.update(
            preprocess=preprocess_s,
            inference=inferred - started - preprocess_s,
            postprocess=image_done - inferred + time.perf_counter() - resumed,
        )
        return prediction

    def _prior(self, curve: DefocusCurve | None) -> Prior:
        bins = self._model.card.blur_bins
        if not bins or curve is None:
            return ()
        at_network = curve.scaled(self.geometry.scale)
        return (blur_log_prior(at_network, bins, self._options.depth_min_m, self._options.depth_max_m),)

    def _prediction(
        self,
        outputs: dict[str, NDArray[Any]],
        curve: DefocusCurve | None,
        with_std: bool,
        deblurred: NDArray[np.uint8] | None,
    ) -> Prediction:
        """The maps that a network's outputs stand for, in the user's units: metres, pixels of the map, uint8.

        Args:
            outputs: by name, each (1, C, H', W').
            with_std: as of `predict`. Where the options need standard deviations they are computed anyway.
        """
        geometry, options, output_size = self.geometry, self._options, self._options.output_size
        size = output_size or geometry.image_size
        depth = std = coc = coc_std = None
        with_std = with_std or options.depth_max_rel_std > 0
        if "depth" in outputs:
            depth = geometry.map_from_network(outputs["depth"][0, 0], output_size)
            options.drop_outside(depth)
        if "coc" in outputs:
            # Blur is measured in network pixels; a map of another size has pixels of another size.
            per_pixel = size[1] / geometry.network_size[1]
            coc = geometry.map_from_network(outputs["coc"][0, 0], output_size)
            if per_pixel != 1:
                coc *= np.float32(per_pixel)
            if with_std:
                coc_std = geometry.map_from_network(outputs["coc_log_var"][0, 0], output_size)
                coc_std *= np.float32(0.5)
                coc_std += np.float32(np.log(per_pixel))
                cv2.exp(coc_std, coc_std)  # a fifth of the time of numpy's
            if curve is not None:
                # The network's image is the resized one; its blur is only counted in the pixels of the map.
                resized = self._model.resized(curve, geometry.scale).counted_in(per_pixel)
                depth = resized.depth_m(coc)
                options.drop_outside(depth)
                if coc_std is not None:
                    std = resized.depth_std_m(depth, coc_std, coc)
                    options.drop_uncertain(depth, std)
        return Prediction(depth_m=depth, depth_std_m=std, coc_px=coc, coc_std_px=coc_std, deblurred=deblurred)
