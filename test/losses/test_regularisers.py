# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dfd_perception.errors import ConfigError
from dfd_perception.losses.regularisers import REGULARISERS, find_regulariser

NAN = float("nan")


def _ramp(height: int, width: int, slope: float) -> Tensor:
    return (slope * torch.arange(width, dtype=torch.float32)).expand(1, 1, height, width)


def test_names_are_the_six_rows_of_table_2_1_in_order() -> None:
    assert list(REGULARISERS) == ["none", "hu", "eigen", "ummenhofer", "xian", "godard_modified"]
    with pytest.raises(ConfigError, match="choose one of none, hu"):
        find_regulariser("laplace")


def test_none_is_zero() -> None:
    assert float(REGULARISERS["none"].term(torch.rand(1, 1, 4, 4), torch.ones(1, 1, 4, 4))) == 0


def test_hu_on_a_ramp() -> None:
    # Sobel of a ramp of 0.25 is 2 along x, 0 along y: ln 2.5 + ln 0.5; normals (-2, 0, 1), (0, 0, 1).
    loss = REGULARISERS["hu"].term(1 + _ramp(4, 4, 0.25), torch.ones(1, 1, 4, 4))
    assert float(loss) == pytest.approx(math.log(2.5) + math.log(0.5) + 1 - 1 / math.sqrt(5), abs=1e-6)


def test_eigen_on_a_ramp_in_log_depth() -> None:
    assert float(REGULARISERS["eigen"].term(torch.exp(_ramp(4, 5, 0.1)), torch.ones(1, 1, 4, 5))) == pytest.approx(0.01)


def test_ummenhofer_on_one_step_of_inverse_depth() -> None:
    # Inverse depth 1 to 3: (3 - 1) / (3 + 1) = 0.5 along x, 0 along y.
    prediction = torch.tensor([[[[1.0, 1 / 3], [1.0, 1.0]]]])
    assert float(REGULARISERS["ummenhofer"].term(prediction, torch.ones(1, 1, 2, 2))) == pytest.approx(0.5, abs=1e-4)


def test_ummenhofer_sums_its_five_spacings() -> None:
    # Inverse depth 2^x: (2^h - 1) / (2^h + 1) at every pixel.
    prediction = torch.pow(2.0, -_ramp(20, 20, 0.25))
    expected = sum((2 ** (h / 4) - 1) / (2 ** (h / 4) + 1) for h in (1, 2, 4, 8, 16))
    loss = REGULARISERS["ummenhofer"].term(prediction, torch.ones(1, 1, 20, 20))
    assert float(loss) == pytest.approx(expected, abs=1e-4)


def test_xian_sums_four_dyadic_scales() -> None:
    loss = REGULARISERS["xian"].term(1 + _ramp(16, 16, 0.1), torch.ones(1, 1, 16, 16))
    assert float(loss) == pytest.approx(0.1 + 0.2 + 0.4 + 0.8, abs=1e-5)


def test_godard_modified_lets_steps_pass_at_edges_of_the_true_depth() -> None:
    # Mean 2, so the relative step is 1; the guide steps by 1 too: exp(-1).
    prediction = torch.tensor([[[[1.0, 3.0], [1.0, 3.0]]]])
    target = torch.tensor([[[[1.0, 2.0], [1.0, 2.0]]]])
    term = REGULARISERS["godard_modified"].term
    assert float(term(prediction, target)) == pytest.approx(math.exp(-1), abs=1e-6)
    assert float(term(prediction, torch.ones_like(target))) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", list(REGULARISERS))
def test_holes_change_nothing_and_get_no_gradient(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    target = 1 + torch.rand(2, 1, 24, 28, generator=generator)
    target[..., 5:9, 4:11] = NAN
    prediction = 1 + torch.rand(2, 1, 24, 28, generator=generator)
    losses, gradients = [], []
    for filling in (0.5, -3.0):
        filled = prediction.clone()
        filled[..., 5:9, 4:11] = filling
        filled.requires_grad_()
        loss = REGULARISERS[name].term(filled, target)
        loss.backward()
        losses.append(float(loss))
        gradients.append(filled.grad)
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert float(gradients[0][..., 5:9, 4:11].abs().max()) == 0


@pytest.mark.parametrize("name", list(REGULARISERS))
def test_an_all_invalid_or_tiny_batch_is_zero_but_differentiable(name: str) -> None:
    prediction = torch.rand(1, 1, 3, 3, requires_grad=True)
    loss = REGULARISERS[name].term(prediction, torch.full((1, 1, 3, 3), NAN))
    loss.backward()
    assert float(loss) == 0
    assert torch.isfinite(prediction.grad).all()
