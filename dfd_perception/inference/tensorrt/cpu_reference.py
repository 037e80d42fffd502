# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The float32 network on the CPU that engines are held against, by whichever runtime is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import BackendError, EngineError
from dfd_perception.inference.backends.interface import BackendRequest, InferenceBackend, Precision
from dfd_perception.inference.ladder import compile_backend
from dfd_perception.inference.tensorrt.image_io import as_image, as_planes
from dfd_perception.inference.tensorrt.runner import EngineRunner
from dfd_perception.inference.tensorrt.self_check import SelfCheckResult, check_engine, stored_frames


class CpuReference:
    """Compiled with the first check, and kept for the next precision."""

    def __init__(self, request: BackendRequest) -> None:
        self._request = request
        self._backend: InferenceBackend | None = None

    def check(self, runner: EngineRunner, precision: Precision) -> SelfCheckResult:
        """Run the stored frames through an engine and through the network.

        Raises:
            EngineError: no runtime works on the CPU, or the engine does not run.
        """
        if self._backend is None:
            self._backend = _compiled(self._request)

        def engine(frame: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
            return as_planes(runner.run(self._request.inputs(as_image(frame))))

        return check_engine(engine, self._backend.run, stored_frames(self._request.size), precision)

    def close(self) -> None:
        """Release the network."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None


def _compiled(request: BackendRequest) -> InferenceBackend:
    try:
        return compile_backend(replace(request, precision="fp32", device="cpu"), "auto").backend
    except BackendError as error:
        raise EngineError(f"the engine cannot be checked, no CPU runtime works: {error}") from error
