# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""docs/add-a-loss.md, followed: a term and a row of REGULARISERS, and a recipe can ask for it by name."""

from __future__ import annotations

import pytest
import torch

from dfd_perception.errors import ConfigError
from dfd_perception.losses.full_precision import in_full_precision
from dfd_perception.losses.masking import valid_depth
from dfd_perception.losses.regularisers import REGULARISERS, Regulariser, l1_depth
from dfd_perception.network.two_headed import TwoHeadedOutput
from dfd_perception.training.config_sections import ObjectiveConfig
from dfd_perception.training.loader import Batch
from dfd_perception.training.objectives import create_objective


@in_full_precision
def mean_offset(prediction_m, target_m):
    """|mean of prediction - target|, over the pixels that have truth."""
    mask = valid_depth(target_m)
    difference = torch.where(mask, prediction_m - target_m, 0.0)
    return (difference.sum() / mask.sum().clamp(min=1)).abs()


@pytest.fixture
def with_row(monkeypatch):
    monkeypatch.setitem(REGULARISERS, "mean_offset", Regulariser(mean_offset, 2.0))


def batch_of(target_m):
    return Batch(("one",), torch.zeros(1, 3, *target_m.shape[-2:]), {"depth_m": target_m})


def test_a_recipe_gets_it_by_name(with_row):
    objective = create_objective(ObjectiveConfig(mode="depth_only", regulariser="mean_offset"), "depth")
    target_m = torch.tensor([[[[1.0, 2.0, float("nan"), 4.0]]]])
    prediction_m = torch.tensor([[[[1.5, 2.5, 9.0, 4.5]]]], requires_grad=True)
    loss = objective(TwoHeadedOutput(depth_m=prediction_m), batch_of(target_m)).total
    assert loss.item() == pytest.approx(l1_depth(prediction_m, target_m).item() + 2.0 * 0.5)
    loss.backward()
    assert prediction_m.grad[0, 0, 0, 2] == 0
    assert prediction_m.grad.isfinite().all()


def test_a_batch_without_truth_costs_nothing(with_row):
    objective = create_objective(ObjectiveConfig(mode="depth_only", regulariser="mean_offset"), "depth")
    target_m = torch.full((1, 1, 2, 2), float("nan"))
    assert objective(TwoHeadedOutput(depth_m=torch.ones(1, 1, 2, 2)), batch_of(target_m)).total.item() == 0


def test_another_name_is_refused():
    with pytest.raises(ConfigError, match="mean_offset.*choose one of"):
        create_objective(ObjectiveConfig(regulariser="mean_offset"), "depth")
