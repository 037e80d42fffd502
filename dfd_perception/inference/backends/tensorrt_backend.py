# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The TensorRT backend: an engine from the cache or built now, checked, and exchanged for a safer one if it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import EngineError
from dfd_perception.inference.backends.interface import BackendRequest, Precision
from dfd_perception.inference.tensorrt.build_progress import Progress
from dfd_perception.inference.tensorrt.engine_builder import BuildSettings
from dfd_perception.inference.tensorrt.engine_loading import LoadedEngine
from dfd_perception.inference.tensorrt.engine_provider import EngineProvider, NotTrustedError
from dfd_perception.inference.tensorrt.graph_precision import NEXT_PRECISION, PRECISIONS
from dfd_perception.inference.tensorrt.image_io import as_image, as_planes
from dfd_perception.inference.tensorrt.trt_module import import_tensorrt, version_of

_log = logging.getLogger(__name__)


class TensorRtBackend:
    """One engine. The precision asked for is tried first; one that cannot be trusted gives way to the next."""

    name = "tensorrt"

    def __init__(
        self,
        request: BackendRequest,
        *,
        settings: BuildSettings | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        rebuild: bool = False,
    ) -> None:
        """Load or build.

        Args:
            on_progress: told what is being done; a build takes minutes on a Jetson.
            rebuild: build even if the cache has the engine.

        Raises:
            EngineError: TensorRT or a GPU is absent, or no precision gives an engine that works.
        """
        provider = _provider(request, settings, on_progress, rebuild)
        try:
            (self._runner, precision_details), self.precision = _first_trusted(provider, request)
        finally:
            provider.close()
        self._inputs = request.inputs
        self.device = provider.device.name
        self.details = {
            "runtime": f"TensorRT {version_of(provider.trt)}, CUDA {provider.device.cuda_version}",
            "precision_asked": request.precision,
            **precision_details,
        }

    def run(
        self, image_1x3HxW: NDArray[np.float32], blur_log_prior: NDArray[np.float32] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        return as_planes(self._runner.run(self._inputs(as_image(image_1x3HxW), blur_log_prior)))

    def run_image(
        self, image_HxWx3: NDArray[np.uint8], blur_log_prior: NDArray[np.float32] | None = None
    ) -> dict[str, NDArray[Any]]:
        return self._runner.run(self._inputs(image_HxWx3[None], blur_log_prior))

    def close(self) -> None:
        self._runner.close()


def _first_trusted(provider: EngineProvider, request: BackendRequest) -> tuple[LoadedEngine, Precision]:
    """The engine of the precision asked for, or of the first after it that can be trusted, and that precision.

    Raises:
        EngineError: no precision gives one.
    """
    precision: Precision | None = request.precision
    failures: list[str] = []
    while precision is not None:
        try:
            loaded = provider.runner(precision)
        except EngineError as error:
            failures.append(f"{precision}: {error}")
            # Without building, a missing engine is the usual case, and the ladder says so.
            _log.log(logging.WARNING if request.build_engines else logging.DEBUG, "TensorRT %s", failures[-1])
            may_go_on = request.build_engines or isinstance(error, NotTrustedError)
            precision = NEXT_PRECISION.get(precision) if may_go_on else None
            continue
        if failures:
            loaded.details["fallback"] = "; ".join(failures)
        return loaded, precision
    raise EngineError(f"TensorRT: no engine that works ({'; '.join(failures)})")


def _provider(
    request: BackendRequest,
    settings: BuildSettings | None,
    on_progress: Callable[[Progress], None] | None,
    rebuild: bool,
) -> EngineProvider:
    if request.precision not in PRECISIONS:
        raise EngineError(f"TensorRT: precision {request.precision} is not offered; expected {', '.join(PRECISIONS)}")
    return EngineProvider(
        import_tensorrt(), request, settings or BuildSettings(), on_progress or (lambda progress: None), rebuild
    )
