# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Speed of `2hded`, the thesis' network, against the plain torch forward of the same weights."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from dfd_perception.benchmark.timing import times_ms
from dfd_perception.core.optics import Lens
from dfd_perception.core.size import Size
from dfd_perception.files.model_folder import FileHash, ModelCard, TrainedRange
from dfd_perception.inference.backends.interface import BackendRequest
from dfd_perception.inference.ladder import compile_backend
from dfd_perception.network import create_network
from dfd_perception.network.checkpoint import save_model


def compare_with_torch(backend: str, size: Size, runs: int) -> dict[str, Any]:
    """Medians [ms] of both, their ratio, and the largest difference of the outputs as a fraction of their range.

    The weights are random (speed does not depend on them); the graph is written to a temporary folder.
    """
    torch.manual_seed(0)
    network = create_network("2hded", "depth").eval()
    card = ModelCard(
        variant="2hded",
        target="depth",
        trained=TrainedRange(input_size=size),
        weights=FileHash(file="", sha256=""),
        lens=Lens(focal_length_mm=35, f_number=2.8, focus_distance_m=1.0, pixel_pitch_um=50),
    )
    image = np.random.default_rng(0).random((1, 3, *size), np.float32)
    tensor = torch.from_numpy(image)
    with TemporaryDirectory() as scratch, torch.inference_mode():
        model = save_model(network, Path(scratch) / "model", card)
        chosen = compile_backend(BackendRequest(model=model, size=size), backend)
        ours = times_ms(lambda: chosen.backend.run(image), runs)
        plain = times_ms(lambda: network(tensor), runs)
        outputs = chosen.backend.run(image)
        output = network(tensor)
        differences = {
            "depth": _difference(outputs["depth"], output.depth_m.numpy()),
            "deblurred": _difference(outputs["deblurred"], output.deblurred.numpy()),
        }
        name = chosen.backend.name
        chosen.backend.close()
    return {
        "size": f"{size[1]}x{size[0]}",
        "backend": name,
        "backend_ms": round(float(np.median(ours)), 1),
        "torch_ms": round(float(np.median(plain)), 1),
        "speed_up": round(float(np.median(plain) / np.median(ours)), 2),
        "largest_difference_of_range": differences,
    }


def _difference(ours: Any, theirs: Any) -> float:
    return float(np.abs(ours - theirs).max() / max(float(np.ptp(theirs)), 1e-12))
