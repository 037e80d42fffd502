# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The distribution over blur: its moments, its prior, and the upsampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dfd_perception.core.blur_bins import bin_centres_px
from dfd_perception.losses.defocus import blur_cross_entropy, border_loss
from dfd_perception.network import create_network
from dfd_perception.network.blur_head import LEAST_VARIANCE_PX2, convex_upsampled, without_grid

SMALL = {
    "encoder": {"stem": 8, "down": 8, "widths": (8, 8, 8, 8), "layers": (1, 1, 1, 1), "growth": 8, "fine": 8},
    "upper_widths": (8, 8, 8, 8),
    "lower_widths": (8, 8, 8, 8, 8),
}


@pytest.fixture
def network():
    torch.manual_seed(1)
    return create_network("2hded-small", "coc", **SMALL).eval()


def say(network, likelihood):
    """Make the network say one distribution everywhere."""
    with torch.no_grad():
        network.upper_head.logits.weight.zero_()
        network.upper_head.logits.bias.copy_(torch.log(likelihood))


WIDTH = np.arcsinh(24) / 27
"""Of a bin in asinh(c / 2)."""


def at(place: float) -> float:
    """Blur [px] at a place counted in bins."""
    return float(2 * np.sinh(place * WIDTH))


def test_blur_is_a_quantile_of_the_distribution_in_asinh_and_the_variance_is_about_it_in_pixels(network):
    likelihood = torch.full((28,), 1e-6)
    likelihood[5], likelihood[20] = 0.25, 0.75
    say(network, likelihood)
    # 43 % lie below: all of bin 5 and 0.18 of the 0.75 of bin 20, which reaches from 19.5 to 20.5.
    place = 19.5 + 0.18 / 0.75
    blur_px = at(place)
    variance_px2 = 0.25 * (at(5) - blur_px) ** 2 + 0.75 * (at(20) - blur_px) ** 2
    with torch.inference_mode():
        said = network(torch.rand(1, 3, 40, 70))
    torch.testing.assert_close(said.coc_px, torch.full((1, 1, 40, 70), blur_px).float(), rtol=1e-3, atol=1e-3)
    wanted = torch.full((1, 1, 40, 70), np.log(variance_px2 + LEAST_VARIANCE_PX2)).float()
    torch.testing.assert_close(said.coc_log_var, wanted, rtol=1e-3, atol=5e-3)


def test_of_two_blurs_the_likelier_is_read_and_none_between(network):
    for low, place in ((0.6, 4.5 + 0.43 / 0.6), (0.4, 19.5 + 0.03 / 0.6)):
        likelihood = torch.full((28,), 1e-7)
        likelihood[5], likelihood[20] = low, 1 - low
        say(network, likelihood)
        with torch.inference_mode():
            assert network(torch.rand(1, 3, 32, 32)).coc_px.mean().item() == pytest.approx(at(place), rel=1e-3)


def test_no_blur_at_all_is_read_as_none(network):
    likelihood = torch.full((28,), 1e-7)
    likelihood[0] = 1.0
    say(network, likelihood)
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 32, 32)).coc_px.max().item() == 0


def test_while_it_learns_the_mean_is_read_whose_gradient_reaches_every_bin(network):
    posterior = torch.full((1, 28, 1, 1), 1e-3)
    posterior[0, 5], posterior[0, 20] = 0.374, 0.6
    network.train()
    reading = network.upper_head._moments(posterior.requires_grad_())[0, 0]
    assert reading.item() == pytest.approx(
        float((posterior.flatten().detach() * torch.arange(28)).sum()) * WIDTH, rel=1e-3
    )
    reading.sum().backward()
    assert (posterior.grad[0, 1:] > 0).all()


def test_tempered_likelihoods_leave_more_to_the_prior(network):
    likelihood = torch.full((28,), 1e-9)
    likelihood[5], likelihood[20] = 0.2, 0.8
    say(network, likelihood)
    network.upper_head.evidence.fill_(0.5)
    low, high = np.sqrt([0.2, 0.8]) / np.sqrt([0.2, 0.8]).sum()  # 1/3 and 2/3
    with torch.inference_mode():
        output = network(torch.rand(1, 3, 32, 32))
    assert output.coc_px.mean().item() == pytest.approx(at(19.5 + (0.43 - low) / high), rel=0.01)
    assert torch.softmax(output.coc_logits, 1)[0, 20].mean().item() == pytest.approx(0.8, abs=0.01)


def test_weights_of_before_count_all_of_the_evidence(network):
    weights = network.state_dict()
    del weights["upper_head.evidence"], weights["upper_head.image_prior"]
    network.upper_head.evidence.fill_(0.5)
    network.upper_head.image_prior.fill_(0.5)
    network.load_state_dict(weights, strict=True)
    assert (network.upper_head.evidence.item(), network.upper_head.image_prior.item()) == (1, 0)


def test_where_the_evidence_is_flat_the_blur_of_the_rest_of_the_image_is_answered(network):
    """Three quarters of the pixels see bin 12, the rest nothing: with the shares of the image as prior, bin 12 too."""
    head = network.upper_head
    logits = torch.zeros(1, 28, 8, 8)
    logits[:, 12, :, :6] = 8
    blur_px = {}
    for power in (0.0, 1.0):
        head.image_prior.fill_(power)
        reading = head._moments(torch.softmax(head._log_posterior(logits, None), 1))[0, 0]
        blur_px[power] = 2 * torch.sinh(reading)
    seen = float(bin_centres_px(28)[12])
    assert abs(blur_px[1.0][0, 7].item() - seen) < 0.5 * abs(blur_px[0.0][0, 7].item() - seen)
    torch.testing.assert_close(blur_px[1.0][:, :6], blur_px[0.0][:, :6], rtol=0.05, atol=0.05)


def test_the_prior_takes_away_what_cannot_be(network):
    likelihood = torch.full((28,), 1e-6)
    likelihood[5], likelihood[20] = 0.5, 0.5
    say(network, likelihood)
    prior = torch.zeros(1, 28, 1, 1)
    prior[:, 10:] = -12
    with torch.inference_mode():
        said = network(torch.rand(1, 3, 32, 32), blur_log_prior=prior)
    assert said.coc_px.mean().item() == pytest.approx(at(4.5 + 0.43), abs=0.01)


def test_fine_layers_start_as_nothing():
    torch.manual_seed(0)
    with_fine = create_network("2hded-small", "coc", **SMALL).eval()
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        said = with_fine(image).coc_px
        with_fine.encoder.fine = torch.nn.Identity()
        torch.testing.assert_close(with_fine(image).coc_px, said)


def test_convex_upsampling_keeps_a_plane_and_takes_the_neighbour_it_is_told():
    flat = torch.full((1, 1, 4, 5), 3.0)
    torch.testing.assert_close(convex_upsampled(flat, torch.randn(1, 36, 4, 5)), torch.full((1, 1, 8, 10), 3.0))
    ramp = torch.arange(20.0).view(1, 1, 4, 5)
    weights = torch.zeros(1, 9, 4, 4, 5)
    weights[:, 5] = 50.0  # the neighbour to the right
    upsampled = convex_upsampled(ramp, weights.view(1, 36, 4, 5))
    assert upsampled[0, 0, 2, :8].tolist() == [6, 6, 7, 7, 8, 8, 9, 9]


def test_cross_entropy_is_least_at_the_truth_and_shares_a_cell_across_a_border():
    centres_px = torch.from_numpy(bin_centres_px(28))
    target_px = torch.full((1, 1, 8, 8), float(centres_px[7]))
    target_px[..., 2:4] = float(centres_px[20])  # half of the first cells, none of the others
    truth = torch.full((28, 2, 2), 1e-9)
    truth[7] = 1.0
    truth[7, :, 0], truth[20, :, 0] = 0.5, 0.5
    best = blur_cross_entropy(truth.log()[None], target_px, centres_px).item()
    assert best == pytest.approx(0.5 * np.log(2), abs=1e-4)
    other = truth.roll(1, 0)
    assert blur_cross_entropy(other.log()[None], target_px, centres_px).item() > best + 1


def test_cross_entropy_counts_no_unknown_pixel():
    centres_px = torch.from_numpy(bin_centres_px(28))
    logits = torch.randn(1, 28, 4, 4)
    target_px = torch.rand(1, 1, 16, 16) * 40
    target_px[..., 8:] = float("nan")
    half = blur_cross_entropy(logits[..., :2], target_px[..., :8], centres_px)
    torch.testing.assert_close(blur_cross_entropy(logits, target_px, centres_px), half)


def test_border_loss_is_the_missing_step():
    target_px = torch.zeros(1, 1, 8, 16)
    target_px[..., 8:] = 6.0
    assert border_loss(target_px, target_px).item() == 0
    # A step of 6 px is crossed by 4 of the 12 pairs that are 4 px apart.
    assert border_loss(torch.zeros_like(target_px), target_px).item() == pytest.approx(6 * 4 / 12)


def test_a_grid_of_every_second_pixel_is_taken_out_and_a_slope_stays() -> None:
    rows, columns = torch.meshgrid(torch.arange(6.0), torch.arange(8.0), indexing="ij")
    slope = 0.5 * rows + 0.25 * columns
    for grid in (rows % 2, columns % 2, (rows + columns) % 2):
        filtered = without_grid((slope + grid - 0.5)[None, None])
        # At the image's border the neighbours outside are copies, which a grid does not cancel with.
        torch.testing.assert_close(filtered[0, 0, 1:-1, 1:-1], slope[1:-1, 1:-1])
