# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What every backend is asked and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.prediction import IMAGE_INPUT, OUTPUT_NAMES, PRIOR_INPUT, Heads
from dfd_perception.core.size import Size
from dfd_perception.files.model_folder import ModelFolder
from dfd_perception.inference.backends.table import Precision


class InferenceBackend(Protocol):
    """A network compiled for one set of heads and one input size."""

    name: str
    """As in the table of backends."""
    precision: Precision
    device: str
    """Device in words, for diagnostics: "CPU", "NVIDIA Orin"."""
    details: dict[str, str]
    """More for diagnostics: engine key, runtime version."""

    def run(
        self, image_1x3HxW: NDArray[np.float32], blur_log_prior: NDArray[np.float32] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Outputs by name, each (1, C, H, W); the arrays are the caller's until the next run.

        `blur_log_prior` (1, bins, 1, 1) goes to networks that take one (BackendRequest.prior_bins); None: no prior.
        """

    def close(self) -> None:
        """Release what it holds; using it afterwards is an error."""


@runtime_checkable
class ImageBackend(Protocol):
    """A backend that converts between images and planes itself (on the GPU)."""

    def run_image(
        self, image_HxWx3: NDArray[np.uint8], blur_log_prior: NDArray[np.float32] | None = None
    ) -> dict[str, NDArray[Any]]:
        """As `run` of an InferenceBackend, from and to uint8: `deblurred` is (1, H, W, 3) uint8."""


@dataclass(frozen=True, kw_only=True)
class BackendOptions:
    """How a backend runs a network."""

    precision: Precision = "fp32"
    device: str = "auto"
    """auto, cpu, cuda, cuda:N."""
    num_threads: int = 0
    """CPU threads; 0 = all."""
    engine_cache_dir: Path | None = None
    build_engines: bool = True
    """TensorRT: build an engine that the cache lacks (minutes on a Jetson); else refuse, so that the ladder goes on."""


@dataclass(frozen=True, kw_only=True)
class BackendRequest(BackendOptions):
    """What to compile."""

    model: ModelFolder
    heads: Heads = "both"
    size: Size = (480, 640)
    """Height and width, multiples of 32."""

    @property
    def output_names(self) -> tuple[str, ...]:
        return OUTPUT_NAMES[self.model.card.target, self.heads]

    @property
    def prior_bins(self) -> int:
        """Bins of the prior that the graph of these heads takes beside the image; 0: it takes none."""
        return 0 if self.heads == "deblurred" else self.model.card.blur_bins

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the graph's inputs."""
        return (IMAGE_INPUT, PRIOR_INPUT) if self.prior_bins else (IMAGE_INPUT,)

    def inputs(self, image: NDArray[Any], blur_log_prior: NDArray[np.float32] | None = None) -> dict[str, NDArray[Any]]:
        """The graph's inputs by name; without a prior, nothing is held against any blur."""
        if not self.prior_bins:
            return {IMAGE_INPUT: image}
        none_known = np.zeros((1, self.prior_bins, 1, 1), np.float32)
        return {IMAGE_INPUT: image, PRIOR_INPUT: none_known if blur_log_prior is None else blur_log_prior}
