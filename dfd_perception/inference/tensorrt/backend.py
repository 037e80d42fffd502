"""The TensorRT backend: an engine from the cache or built now, checked, and exchanged for a safer one if it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import EngineError
from dfd_perception.inference.backend import BackendRequest
from dfd_perception.inference.tensorrt.build_progress import Progress
from dfd_perception.inference.tensorrt.engine_builder import BuildSettings
from dfd_perception.inference.tensorrt.engine_provider import EngineProvider
from dfd_perception.inference.tensorrt.picture_io import as_picture, as_planes
from dfd_perception.inference.tensorrt.precision import PRECISIONS
from dfd_perception.inference.tensorrt.trt_module import import_tensorrt, version_of


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
            self._runner, self.precision, found = provider.trusted_runner()
        finally:
            provider.close()
        self.device = provider.device.name
        self.details = {
            "runtime": f"TensorRT {version_of(provider.trt)}, CUDA {provider.device.cuda_version}",
            "precision_asked": request.precision,
            **found,
        }

    def run(self, image_1x3HxW: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        return as_planes(self._runner.run({"image": as_picture(image_1x3HxW)}))

    def run_picture(self, picture_HxWx3: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        return self._runner.run({"image": picture_HxWx3[None]})

    def close(self) -> None:
        self._runner.close()


def engine_is_cached(request: BackendRequest) -> bool:
    """Whether a TensorRtBackend of this request would need no build, as far as the cache tells.

    Raises:
        EngineError: TensorRT or a GPU is absent.
    """
    provider = _provider(request, None, None, False)
    try:
        return provider.cached_precision() is not None
    finally:
        provider.close()


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
