# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from dfd_perception.losses.reblur import reblur_by_bank
from dfd_perception.network import create_network
from dfd_perception.network.two_headed import TwoHeadedOutput
from dfd_perception.training.config_sections import ObjectiveConfig
from dfd_perception.training.loader import Batch
from dfd_perception.training.objectives import create_objective


def batch_of(image=None, **parts) -> Batch:
    image = torch.rand(1, 3, 12, 12) if image is None else image
    return Batch(("a",), image, parts)


def test_supervised_coc_by_hand():
    coc, target = torch.full((1, 1, 12, 12), 5.0), torch.full((1, 1, 12, 12), 2.0)
    target[..., :3] = float("nan")
    aif = torch.full((1, 3, 12, 12), 0.5)
    said = TwoHeadedOutput(coc_px=coc, coc_log_var=torch.zeros_like(coc), deblurred=aif + 0.1)
    config = ObjectiveConfig(nll_weight=0.3, aif_weight=20.0)
    loss = create_objective(config, "coc")(said, batch_of(coc_px=target, aif=aif))
    nll = 3 * math.sqrt(2) + 0.5 * math.log(2)
    charbonnier = math.sqrt(0.1**2 + 1e-6)
    assert float(loss.terms["coc_l1_px"]) == pytest.approx(3.0)
    assert float(loss.terms["coc_nll"]) == pytest.approx(nll, rel=1e-5)
    assert float(loss.total) == pytest.approx(3 + 0.3 * nll + 20 * charbonnier, rel=1e-5)


def test_the_likelihood_does_not_pull_at_the_mean():
    coc = torch.full((1, 1, 12, 12), 5.0, requires_grad=True)
    log_var = torch.zeros(1, 1, 12, 12, requires_grad=True)
    said = TwoHeadedOutput(coc_px=coc, coc_log_var=log_var)
    target = torch.full((1, 1, 12, 12), 2.0)
    objective = create_objective(ObjectiveConfig(mode="depth_only", nll_weight=50.0), "coc")
    objective(said, batch_of(coc_px=target)).total.backward()
    assert coc.grad.sum() == pytest.approx(1.0)
    assert log_var.grad.abs().sum() > 1


def test_supervised_depth_balances_its_two_terms_on_the_first_batch():
    objective = create_objective(ObjectiveConfig(gradient_weight=0.0), "depth")
    depth, aif = torch.full((1, 1, 12, 12), 2.0), torch.rand(1, 3, 12, 12)
    said = TwoHeadedOutput(depth_m=depth + 0.5, deblurred=aif + 0.1)
    loss = objective(said, batch_of(depth_m=depth, aif=aif))
    assert float(loss.total) == pytest.approx(2 * 0.5, rel=1e-5)
    again = objective(TwoHeadedOutput(depth_m=depth + 1.0, deblurred=aif + 0.1), batch_of(depth_m=depth, aif=aif))
    assert float(again.total) == pytest.approx(1.0 + 0.5, rel=1e-5)


def test_a_row_of_the_table_is_added_with_its_weight():
    depth = torch.linspace(1, 3, 144).view(1, 1, 12, 12)
    said = TwoHeadedOutput(depth_m=depth * 1.1)

    def total(**changes) -> float:
        config = ObjectiveConfig(mode="depth_only", **changes)
        return float(create_objective(config, "depth")(said, batch_of(depth_m=depth)).total)

    plain = total(regulariser="eigen", regulariser_weight=0.0)
    once = total(regulariser="xian", regulariser_weight=1.0) - plain
    assert once > 0
    assert total(regulariser="xian") - plain == pytest.approx(0.2 * once, rel=1e-3)


def test_the_self_supervised_loss_is_least_at_the_true_blur():
    torch.manual_seed(0)
    aif = torch.rand(1, 3, 48, 48)
    true = torch.full((1, 1, 48, 48), 6.0)
    batch = batch_of(reblur_by_bank(aif, true), aif=aif)
    objective = create_objective(ObjectiveConfig(mode="self_supervised"), "coc")

    def loss(coc_px: float) -> float:
        coc = torch.full_like(true, coc_px)
        return float(objective(TwoHeadedOutput(coc_px=coc, coc_log_var=coc, deblurred=aif), batch).terms["reblur"])

    values = {coc_px: loss(coc_px) for coc_px in (1.0, 3.0, 5.0, 6.0, 7.0, 9.0, 14.0)}
    assert min(values, key=values.get) == 6.0


def test_a_defocus_map_is_found_without_its_truth():
    torch.manual_seed(0)
    aif = torch.rand(1, 3, 32, 48)
    true = torch.linspace(1, 7, 48).expand(1, 1, 32, 48).contiguous()
    batch = batch_of(reblur_by_bank(aif, true), aif=aif)
    objective = create_objective(ObjectiveConfig(mode="self_supervised"), "coc")
    coc = torch.full_like(true, 3.0, requires_grad=True)
    optimiser = torch.optim.Adam([coc], lr=0.2)
    losses = []
    for _ in range(60):
        loss = objective(TwoHeadedOutput(coc_px=coc, coc_log_var=coc, deblurred=aif), batch)
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        losses.append(loss.terms["reblur"].item())
    assert losses[-1] < 0.3 * losses[0]
    assert torch.corrcoef(torch.stack([coc.detach().flatten(), true.flatten()]))[0, 1] > 0.8


@pytest.mark.slow
def test_a_network_learns_blur_without_its_truth(tiny_options):
    torch.manual_seed(0)
    objective = create_objective(ObjectiveConfig(mode="self_supervised", largest_coc_px=8.0), "coc")
    network = create_network("2hded-small", "coc", **tiny_options)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)

    def ramps(count: int) -> tuple[Batch, torch.Tensor]:
        """Textured images whose blur runs from one random width to another."""
        aif = functional.interpolate(torch.rand(count, 3, 16, 16), scale_factor=2, mode="bilinear")
        aif = (aif + 0.5 * (torch.rand(count, 3, 32, 32) - 0.5)).clamp(0, 1)
        left, right = 8 * torch.rand(2, count, 1, 1, 1)
        coc = (left + (right - left) * torch.linspace(0, 1, 32)).expand(count, 1, 32, 32).contiguous()
        return batch_of(reblur_by_bank(aif, coc, 0.25, 8.0), aif=aif), coc

    held_out, truth = ramps(16)

    def measured() -> tuple[float, float]:
        network.eval()
        with torch.no_grad():
            said = network(held_out.image)
            reblurred = objective(said, held_out).terms["reblur"]
        return float(reblurred), float(torch.corrcoef(torch.stack([said.coc_px.flatten(), truth.flatten()]))[0, 1])

    before, _ = measured()
    for _ in range(40):
        batch, _ = ramps(6)
        network.train()
        optimiser.zero_grad()
        objective(network(batch.image), batch).total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    after, correlation = measured()
    assert after < 0.7 * before
    assert correlation > 0.7
