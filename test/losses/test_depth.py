# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from dfd_perception.losses.regularisers import depth_loss, gradient_matching, l1_depth

NAN = float("nan")
PREDICTION = torch.tensor([[[[1.0, 2.0], [3.0, 5.0]]]])
TARGET = torch.tensor([[[[1.0, 1.0], [2.0, NAN]]]])


def test_golden_values_of_equations_3_1_to_3_3() -> None:
    # Residuals 0, 1 / 1, invalid: one step along x and one along y remain, each of size 1.
    assert float(l1_depth(PREDICTION, TARGET)) == pytest.approx(2 / 3)
    assert float(gradient_matching(PREDICTION, TARGET)) == pytest.approx(2.0)
    assert float(depth_loss(PREDICTION, TARGET)) == pytest.approx(2 / 3 + 0.002)


@pytest.mark.parametrize("invalid", [NAN, 0.0, -1.0, float("inf")])
def test_invalid_depth_counts_neither_in_value_nor_in_gradient(invalid: float) -> None:
    prediction = PREDICTION.clone().requires_grad_()
    target = TARGET.clone()
    target[..., 1, 1] = invalid
    loss = depth_loss(prediction, target)
    loss.backward()
    assert float(loss) == pytest.approx(2 / 3 + 0.002)
    assert torch.isfinite(prediction.grad).all()
    assert float(prediction.grad[0, 0, 1, 1]) == 0
    assert float(prediction.grad[0, 0, 0, 1]) > 0


def test_without_any_valid_pixel_the_loss_is_zero_and_backward_works() -> None:
    prediction = PREDICTION.clone().requires_grad_()
    loss = depth_loss(prediction, torch.full_like(PREDICTION, NAN))
    loss.backward()
    assert float(loss) == 0
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))
