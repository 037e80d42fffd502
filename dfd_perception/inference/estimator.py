# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From an image and a lens to metric depth and the all-in-focus image."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.blur_bins import blur_log_prior
from dfd_perception.core.network_geometry import Geometry
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.prediction import Heads, Prediction
from dfd_perception.errors import EngineError, ModelError
from dfd_perception.files.model_folder import ModelFolder
from dfd_perception.inference.backends.interface import BackendName, BackendRequest, ImageBackend, Precision
from dfd_perception.inference.ladder import ChosenBackend, compile_backend
from dfd_perception.inference.model_trial import require_graph_of_weights

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EstimatorOptions:
    """How to run a model."""

    backend: BackendName = "auto"
    precision: Precision = "fp32"
    device: str = "auto"
    num_threads: int = 0
    """CPU threads; 0 = all."""
    input_size: tuple[int, int] | None = None
    """Height and width [px] that images are fitted into, aspect kept; None = their own size."""
    output_size: tuple[int, int] | None = None
    """Height and width [px] of the maps; None = the image's size."""
    depth_min_m: float = 0.0
    depth_max_m: float = float("inf")
    """Depth outside becomes NaN: never clipped into a valid distance."""
    depth_max_rel_std: float = 0.0
    """Pixels whose std exceeds this fraction of their depth become NaN; 0 = off."""
    engine_cache_dir: Path | None = None
    build_engines: bool = True
    """TensorRT: build an engine that the cache lacks; False leaves that to `EngineSwitch`."""


class DepthEstimator:
    """A model ready to run. Not thread-safe: one worker owns it.

    Networks are compiled on first use of a set of heads and a size, and kept.
    """

    def __init__(self, model: ModelFolder, options: EstimatorOptions | None = None) -> None:
        """Try the model's graph (see `require_graph_of_weights`); networks are compiled later.

        Raises:
            ModelError: the graph is not that of the weights.
        """
        self.model = model
        self.options = options or EstimatorOptions()
        if self.options.backend != "torch":
            require_graph_of_weights(model)
        self._compiled: dict[tuple[Heads, tuple[int, int]], ChosenBackend] = {}

    def backend_for(self, image_size: tuple[int, int], heads: Heads = "both") -> ChosenBackend:
        """The compiled network for images of a size (height, width), compiling it if need be.

        Raises:
            BackendError: it cannot be compiled.
            ModelError: a head that was not trained.
        """
        self._require_trained(heads)
        size = self.engine_size(image_size)
        key = (heads, size)
        if key not in self._compiled:
            self._compiled[key] = self._compile(heads, size)
        return self._compiled[key]

    def engine_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Height and width [px] that the network gets for images of a size (height, width)."""
        return Geometry.fitting(image_size, self.options.input_size).padded_size

    def predict(
        self, image_rgb: NDArray[np.uint8], curve: DefocusCurve | None = None, heads: Heads = "both"
    ) -> Prediction:
        """Run one image.

        Args:
            image_rgb: (H, W, 3) uint8 RGB.
            curve: the lens at this image's resolution; without it a `coc` model gives blur but no depth.
                Ignored by `depth` models, whose lens is part of their weights.
            heads: which heads run; nothing of the other is computed.

        Returns:
            Maps of `options.output_size`, or of the image's size.

        Raises:
            ImageError: an image of another shape, empty or huge.
            BackendError, ModelError: as `backend_for`.
        """
        geometry = Geometry.fitting(image_rgb.shape[:2], self.options.input_size)
        self.backend_for(geometry.image_size, heads)
        started = time.perf_counter()
        batch = self._prepared(image_rgb, geometry, heads)
        prepared = time.perf_counter()
        outputs = self._run(batch, image_rgb, geometry, heads, self._prior(geometry, curve))
        inferred = time.perf_counter()
        prediction = self._postprocessed(outputs, geometry, curve)
        prediction.latency_s.update(
            preprocess=prepared - started,
            inference=inferred - prepared,
            postprocess=time.perf_counter() - inferred,
        )
        return prediction

    def close(self) -> None:
        """Release every compiled network."""
        for chosen in self._compiled.values():
            chosen.backend.close()
        self._compiled.clear()

    def _compile(self, heads: Heads, size: tuple[int, int], failed: dict[str, str] | None = None) -> ChosenBackend:
        request = BackendRequest(
            model=self.model,
            heads=heads,
            size=size,
            precision=self.options.precision,
            device=self.options.device,
            num_threads=self.options.num_threads,
            engine_cache_dir=self.options.engine_cache_dir,
            build_engines=self.options.build_engines,
        )
        return compile_backend(request, self.options.backend, failed)

    def _prepared(self, image_rgb: NDArray[np.uint8], geometry: Geometry, heads: Heads) -> NDArray[Any]:
        """What the backend takes: planes, or the image."""
        if isinstance(self._compiled[heads, geometry.padded_size].backend, ImageBackend):
            return geometry.to_network_uint8(image_rgb)
        return geometry.to_network(image_rgb)

    def _run(
        self,
        batch: NDArray[Any],
        image_rgb: NDArray[np.uint8],
        geometry: Geometry,
        heads: Heads,
        prior: tuple[NDArray[np.float32], ...],
    ) -> dict[str, NDArray[Any]]:
        """Run a compiled network; an engine that breaks while running gives way to the next backend of `auto`."""
        key = (heads, geometry.padded_size)
        chosen = self._compiled[key]
        backend = chosen.backend
        try:
            return backend.run_image(batch, *prior) if isinstance(backend, ImageBackend) else backend.run(batch, *prior)
        except EngineError as error:
            if self.options.backend != "auto":
                raise
            _log.warning("%s broke while running, the next backend takes over: %s", chosen.backend.name, error)
            failed = {chosen.backend.name: f"broke while running: {error}"}
            self._compiled[key] = self._compile(heads, key[1], failed)
            with contextlib.suppress(EngineError):  # a GPU that reported an error may not even release
                chosen.backend.close()
            return self._compiled[key].backend.run(geometry.to_network(image_rgb), *prior)

    def _prior(self, geometry: Geometry, curve: DefocusCurve | None) -> tuple[NDArray[np.float32], ...]:
        """What lens and working range leave possible, for networks that ask for it; none for the others."""
        bins = self.model.card.blur_bins
        if not bins or curve is None:
            return ()
        at_network = curve.scaled(geometry.network_size[1] / geometry.image_size[1])
        return (blur_log_prior(at_network, bins, self.options.depth_min_m, self.options.depth_max_m),)

    def _require_trained(self, heads: Heads) -> None:
        wanted = {"depth", "deblurred"} if heads == "both" else {heads}
        absent = wanted - set(self.model.card.heads)
        if absent:
            raise ModelError(
                f"model {self.model.name} has no trained {' and no '.join(sorted(absent))} head; "
                f"it has {', '.join(self.model.card.heads)}"
            )

    def _postprocessed(
        self, outputs: dict[str, NDArray[Any]], geometry: Geometry, curve: DefocusCurve | None
    ) -> Prediction:
        size = self.options.output_size
        depth = std = coc = coc_std = None
        if "depth" in outputs:
            depth = self._valid_only(geometry.map_from_network(outputs["depth"][0, 0], size))
        if "coc" in outputs:
            # Blur is measured in network pixels; a map of another size has pixels of another size.
            per_pixel = (size or geometry.image_size)[1] / geometry.network_size[1]
            coc = geometry.map_from_network(outputs["coc"][0, 0], size) * np.float32(per_pixel)
            log_var = geometry.map_from_network(outputs["coc_log_var"][0, 0], size)
            coc_std = log_var * np.float32(0.5)
            coc_std += np.float32(np.log(per_pixel))
            cv2.exp(coc_std, coc_std)  # a fifth of the time of numpy's
            if curve is not None:
                # The network's image is the resized one; its blur is only counted in the pixels of the map.
                resized = self.model.resized(curve, geometry.network_size[1] / geometry.image_size[1])
                depth, std = self._metric(coc, coc_std, resized.counted_in(per_pixel))
        deblurred = None
        if "deblurred" in outputs:
            image = outputs["deblurred"][0]
            is_uint8 = image.dtype == np.uint8
            deblurred = (geometry.uint8_image_from_network if is_uint8 else geometry.image_from_network)(image, size)
        return Prediction(depth_m=depth, depth_std_m=std, coc_px=coc, coc_std_px=coc_std, deblurred=deblurred)

    def _metric(
        self, coc_px: NDArray[np.float32], coc_std_px: NDArray[np.float32], curve: DefocusCurve
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        depth = self._valid_only(curve.depth_m(coc_px))
        std = curve.depth_std_m(depth, coc_std_px, coc_px)
        if self.options.depth_max_rel_std > 0:
            unsure = ~(std <= self.options.depth_max_rel_std * depth)
            depth[unsure] = np.nan
            std[unsure] = np.nan
        return depth, std

    def _valid_only(self, depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
        # Zero and infinity are outside whatever the range; NaN compares false.
        nearest = max(self.options.depth_min_m, float(np.finfo(np.float32).tiny))
        farthest = min(self.options.depth_max_m, float(np.finfo(np.float32).max))
        valid = depth_m >= nearest
        valid &= depth_m <= farthest
        return np.where(valid, depth_m, np.float32(np.nan))
