# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A recipe that trains in a second or two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

LENS = {"focal_length_mm": 35, "f_number": 1.4, "focus_distance_m": 0.6, "pixel_pitch_um": 56.25}


@pytest.fixture
def recipe(tmp_path: Path, tiny_options: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "tiny",
        "model": {"variant": "2hded-small", "target": "coc", "options": tiny_options},
        "data": {"kind": "generated", "scene_size_px": 40, "validation_scenes": 2, "largest_coc_px": 12.0},
        "augmentation": {"crop_px": [32, 32]},
        "optimiser": {"warmup_steps": 2},
        "batch_size": 2,
        "max_steps": 6,
        "validate_every": 4,
        "log_every": 1,
        "workers": 0,
        "precision": "fp32",
        "runs": str(tmp_path / "runs"),
        "onnx": False,
    }


@pytest.fixture
def depth_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    recipe["model"]["target"] = "depth"
    recipe["data"]["lens"] = LENS
    return recipe
