# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From an image and a lens to metric depth and the all-in-focus image."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, fields
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.network_geometry import Geometry
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.prediction import Heads, Prediction
from dfd_perception.core.size import LARGEST_SIDE_PX, Size, is_size
from dfd_perception.errors import UsageError
from dfd_perception.files.model_folder import ModelFolder
from dfd_perception.inference.backends.interface import BackendOptions, BackendRequest
from dfd_perception.inference.backends.table import AUTO, BACKENDS, PRECISIONS, backend_names
from dfd_perception.inference.compiled_network import CompiledNetwork, LoadedBackend, MapOptions
from dfd_perception.inference.ladder import import_runtime
from dfd_perception.inference.model_trial import require_graph_of_weights

NETWORKS_KEPT = 4
"""Compiled networks that are kept: a size of image with each set of heads, and one more. Each holds tens of megabytes
and its threads, and a detector in front of the node that cuts out regions asks for any number of sizes."""

DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,2})?")


@dataclass(frozen=True, kw_only=True)
class EstimatorOptions(BackendOptions, MapOptions):
    """How to run a model."""

    backend: str = AUTO
    input_size: Size | None = None
    """Height and width [px] that images are fitted into, aspect kept; None = their own size."""

    def __post_init__(self) -> None:
        """Check what every entry (node, commands, Python) passes on.

        Raises:
            UsageError: a value that cannot be, with its name.
        """
        for name, known in (("backend", backend_names()), ("precision", PRECISIONS)):
            _require(name, getattr(self, name), getattr(self, name) in known, f"one of {', '.join(known)}")
        device, threads = self.device, self.num_threads
        is_device = isinstance(device, str) and DEVICE.fullmatch(device) is not None
        _require("device", device, is_device, "auto, cpu, cuda or cuda:N")
        _require("num_threads", threads, isinstance(threads, int) and threads >= 0, "a number of threads, 0 for all")
        for name in ("input_size", "output_size"):
            size = getattr(self, name)
            expected = f"(height, width) of 1 to {LARGEST_SIDE_PX} px, or None"
            _require(name, size, size is None or is_size(size), expected)
        near, far, doubt = self.depth_min_m, self.depth_max_m, self.depth_max_rel_std
        are_limits = isinstance(near, Real) and isinstance(far, Real) and 0 <= near < far
        _require("range of depth", (near, far), are_limits, "(nearest, farthest) [m], 0 or more, and the first smaller")
        _require("largest relative std", doubt, isinstance(doubt, Real) and doubt >= 0, "0 (keep all) or more")


def _require(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise UsageError(f"{name} is {value!r}; expected {expected}")


class DepthEstimator:
    """A model ready to run. Not thread-safe: one worker owns it.

    Networks are compiled on first use of a set of heads and a size. The last NETWORKS_KEPT that were used are kept.
    """

    def __init__(self, model: ModelFolder, options: EstimatorOptions | None = None) -> None:
        """Try the model's graph (see `require_graph_of_weights`); networks are compiled later.

        Raises:
            ModelError: the graph is not that of the weights.
        """
        self.model = model
        self.options = options or EstimatorOptions()
        row = BACKENDS.get(self.options.backend)
        if row is None or row.reads_graph:
            require_graph_of_weights(model)
        self._loaded: OrderedDict[tuple[Heads, Size], LoadedBackend] = OrderedDict()

    def prepare(self) -> None:
        """Do beforehand what the first network needs whatever its size: import the runtime."""
        import_runtime(self.model, self.options.backend, self.options.device)

    def compiled(self, image_size: Size, heads: Heads = "both") -> CompiledNetwork:
        """The network for images of a size (height, width), compiled if need be.

        Raises:
            BackendError: it cannot be compiled.
            ModelError: a head that was not trained.
            ImageError: a size that is empty or huge.
        """
        geometry = Geometry.fitting(image_size, self.options.input_size)
        loaded = self._backend(heads, geometry.padded_size)
        return CompiledNetwork(self.model, geometry, loaded, self.options)

    def is_compiled(self, image_size: Size, heads: Heads = "both") -> bool:
        """Whether `compiled` answers at once."""
        return (heads, self.engine_size(image_size)) in self._loaded

    def engine_size(self, image_size: Size) -> Size:
        """Height and width [px] that the network gets for images of a size (height, width)."""
        return Geometry.fitting(image_size, self.options.input_size).padded_size

    def predict(
        self, image_rgb: NDArray[np.uint8], curve: DefocusCurve | None = None, heads: Heads = "both"
    ) -> Prediction:
        """Run one image of any size; see `CompiledNetwork.predict`.

        Raises:
            ImageError: an image of another shape, empty or huge.
            BackendError, ModelError: as `compiled`.
        """
        height, width = image_rgb.shape[:2]
        return self.compiled((height, width), heads).predict(image_rgb, curve)

    def close(self) -> None:
        """Release every compiled network."""
        while self._loaded:
            self._loaded.popitem()[1].close()

    def _backend(self, heads: Heads, size: Size) -> LoadedBackend:
        key = (heads, size)
        if key in self._loaded:
            self._loaded.move_to_end(key)
            return self._loaded[key]
        self.model.require_trained(heads)
        # The oldest goes first: at no time are there more in memory than are kept.
        while len(self._loaded) >= NETWORKS_KEPT:
            self._loaded.popitem(last=False)[1].close()
        shared = {field.name: getattr(self.options, field.name) for field in fields(BackendOptions)}
        request = BackendRequest(model=self.model, heads=heads, size=size, **shared)
        self._loaded[key] = LoadedBackend(request, self.options.backend)
        return self._loaded[key]
