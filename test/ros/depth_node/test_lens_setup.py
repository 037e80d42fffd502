# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the node tells of accuracy comes from the card that `dfd train` wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dfd_perception.files.model_folder import blur_error_px

CARD = Path(__file__).resolve().parents[3] / "models" / "2hded-small" / "model.yaml"


def test_the_shipped_card_states_its_blur_error() -> None:
    metrics = yaml.safe_load(CARD.read_text("utf-8"))["metrics"]
    assert blur_error_px(metrics) == pytest.approx(metrics["validation"]["defocus.mae"])


def test_a_card_without_one_states_none() -> None:
    assert blur_error_px({"validation": {"depth.rmse_m": 0.2}, "protocol": "12 images"}) is None
