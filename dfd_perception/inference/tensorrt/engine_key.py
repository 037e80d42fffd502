# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What an engine depends on, as the key that it is found by. Standard library only."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class EngineKey:
    """Everything that a plan depends on; two engines with equal keys may stand for each other."""

    onnx_sha256: str
    """Of the model's graph, hashed when asked for: an updated model never runs an old engine."""
    graph_recipe: int
    """Version of how graphs are prepared."""
    calibration_sha256: str = ""
    """Of the graph with quantisers (int8); empty otherwise."""
    heads: str
    precision: str
    height: int
    width: int
    library_version: str
    """All of it: plans of 10.3.0.26 and 10.3.0.30 are strangers."""
    gpu_name: str
    compute_capability: str
    """As "8.7"; the name counts too, since tactics are chosen for the number of processors."""
    architecture: str
    workspace_mb: int
    optimization_level: int
    schema: int = SCHEMA

    @property
    def digest(self) -> str:
        """sha256 over all fields."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def file_stem(self, model_name: str) -> str:
        """Name that a person can read, made unique by the digest."""
        capability = self.compute_capability.replace(".", "")
        parts = (
            model_name,
            self.heads,
            f"{self.height}x{self.width}",
            self.precision,
            f"sm{capability}",
            f"trt{self.library_version}",
            self.digest[:12],
        )
        return re.sub(r"[^A-Za-z0-9._-]", "-", "_".join(parts))

    def device_stem(self) -> str:
        """Name for what belongs to GPU and TensorRT alone: the timing cache."""
        return re.sub(r"[^A-Za-z0-9._-]", "-", f"{self.gpu_name}_trt{self.library_version}_{self.architecture}")
