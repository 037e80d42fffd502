# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import pytest
import torch

from dfd_perception.losses.defocus import coc_nll, defocus_smoothness, reblur_loss, self_supervised_loss
from dfd_perception.losses.image import charbonnier, ssim_loss

NAN = float("nan")


def _full(value: float) -> torch.Tensor:
    return torch.full((1, 1, 2, 2), value)


def test_likelihood_by_hand() -> None:
    # Error 2 px, variance 4 px^2.
    expected = 2 / math.sqrt(2) + math.log(2 * math.sqrt(2))
    assert float(coc_nll(_full(5.0), _full(math.log(4)), _full(3.0))) == pytest.approx(expected, abs=1e-6)


def test_likelihood_is_best_at_the_true_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    sign = torch.sign(torch.rand((1, 1, 200, 200), generator=generator) - 0.5)
    error = sign * torch.empty_like(sign).exponential_(math.sqrt(2) / 1.5, generator=generator)
    log_var = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.LBFGS([log_var], max_iter=40)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = coc_nll(error, log_var.expand_as(error), torch.zeros_like(error))
        loss.backward()
        return loss

    optimiser.step(closure)
    assert float(torch.exp(log_var.detach() / 2)) == pytest.approx(1.5, rel=0.02)


def test_unknown_truth_is_masked_and_in_focus_counts() -> None:
    target = torch.tensor([[[[NAN, 0.0], [1.0, NAN]]]])
    coc = torch.tensor([[[[9.0, 0.0], [1.0, 9.0]]]], requires_grad=True)
    log_var = torch.zeros(1, 1, 2, 2, requires_grad=True)
    loss = coc_nll(coc, log_var, target)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.5 * math.log(2))
    assert log_var.grad[0, 0].tolist() == [[0.0, pytest.approx(0.25)], [pytest.approx(0.25), 0.0]]
    assert torch.isfinite(coc.grad).all()


def test_smoothness_by_hand() -> None:
    # Map steps by 3 along x where the image steps by 0.2 in each channel: 3 exp(-2.5 * 0.2).
    coc = torch.tensor([[[[1.0, 4.0], [1.0, 4.0]]]])
    aif = torch.tensor([[[[0.5, 0.3], [0.5, 0.3]]]]).expand(1, 3, 2, 2)
    assert float(defocus_smoothness(coc, aif)) == pytest.approx(3 * math.exp(-0.5), rel=1e-5)
    # A falling edge protects as a rising one does.
    assert float(defocus_smoothness(coc, 1 - aif)) == pytest.approx(3 * math.exp(-0.5), rel=1e-5)


def test_reblur_loss_on_flat_images_by_hand() -> None:
    flat = torch.full((1, 3, 12, 12), 0.5, dtype=torch.float64)
    expected = 0.85 / 2 * (1 - 0.6001 / 0.6101) + 0.15 * 0.1
    assert float(reblur_loss(flat, flat + 0.1)) == pytest.approx(expected, abs=1e-5)
    assert float(reblur_loss(flat, flat)) == pytest.approx(0.0, abs=1e-6)


def test_total_is_equation_5_4() -> None:
    generator = torch.Generator().manual_seed(0)
    reblurred, defocused, predicted, aif = torch.rand(4, 2, 3, 16, 17, generator=generator)
    coc = torch.rand(2, 1, 16, 17, generator=generator)
    loss = self_supervised_loss(reblurred, defocused, coc, predicted, aif)
    reblur = 0.425 * ssim_loss(reblurred, defocused) + 0.15 * (reblurred - defocused).abs().mean()
    expected = 2 * reblur + 0.5 * defocus_smoothness(coc, aif) + 0.01 * charbonnier(predicted, aif)
    assert float(loss.total) == pytest.approx(float(expected), rel=1e-5)
