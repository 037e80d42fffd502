# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from dfd_perception.errors import ModelError
from dfd_perception.network import create_network
from dfd_perception.network.two_headed import START_DEPTH_M, pad_to_multiple

SMALL = {
    "encoder": {"stem": 8, "down": 8, "widths": (8, 8, 8, 8), "layers": (1, 1, 1, 1), "growth": 8},
    "upper_widths": (8, 8, 8, 8),
    "lower_widths": (8, 8, 8, 8, 8),
}


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def thesis_network():
    return create_network("2hded", "depth").eval()


def test_the_thesis_network_has_its_parameters(thesis_network):
    net = thesis_network
    counts = [parameters(part) for part in (net.encoder, net.upper_head, net.lower_head)]
    assert counts == [7_011_840, 17_200_704, 17_201_856]
    assert parameters(thesis_network) == 41_414_400


def test_parameters_without_skips():
    network = create_network("2hded", "depth", skips=False)
    assert parameters(network) == 35_778_304
    assert parameters(network) - parameters(network.lower_head) == 21_394_496


def test_stem_and_blocks_have_the_dossiers_parameters(thesis_network):
    encoder = dict(thesis_network.encoder.named_children())
    assert {name: parameters(encoder[name]) for name in ("conv0", "norm0", "downconv0", "norm1", "norm5")} == {
        "conv0": 1_728, "norm0": 128, "downconv0": 65_536, "norm1": 128, "norm5": 2_048
    }  # fmt: skip
    assert [parameters(encoder[f"denseblock{i}"]) for i in (1, 2, 3, 4)] == [335_040, 919_680, 2_837_760, 2_158_080]
    assert [parameters(block) for block in thesis_network.upper_head.blocks] == [
        10_750_464, 4_785_408, 1_196_672, 299_328, 168_256
    ]  # fmt: skip


def test_the_thesis_network_runs_at_a_size_of_no_multiple(thesis_network):
    with torch.inference_mode():
        said = thesis_network(torch.rand(1, 3, 50, 35))
    assert said.depth_m.shape == (1, 1, 50, 35)
    assert said.deblurred.shape == (1, 3, 50, 35)
    assert said.coc_px is None


@pytest.mark.parametrize("target", ["depth", "coc"])
@pytest.mark.parametrize("size", [(250, 250), (1, 40), (32, 64), (33, 31)])
def test_any_size_comes_back_at_its_size(size, target):
    network = create_network("2hded-small", target, **SMALL).eval()
    with torch.inference_mode():
        said = network(torch.rand(2, 3, *size))
    upper = said.depth_m if target == "depth" else said.coc_px
    assert upper.shape == (2, 1, *size)
    assert said.deblurred.shape == (2, 3, *size)
    if target == "coc":
        assert said.coc_log_var.shape == (2, 1, *size)
        assert (said.coc_px >= 0).all()


@pytest.mark.parametrize("target", ["depth", "coc"])
def test_a_head_alone_says_what_it_says_beside_the_other(target):
    network = create_network("2hded-small", target, **SMALL).eval()
    image = torch.rand(1, 3, 48, 64)
    with torch.inference_mode():
        both, upper, lower = network(image), network(image, heads="depth"), network(image, heads="deblurred")
    assert upper.deblurred is None
    assert lower.depth_m is None
    assert lower.coc_px is None
    torch.testing.assert_close(lower.deblurred, both.deblurred)
    for name in ("depth_m",) if target == "depth" else ("coc_px", "coc_log_var"):
        torch.testing.assert_close(getattr(upper, name), getattr(both, name))


def test_the_all_in_focus_image_is_clamped_only_outside_training():
    network = create_network("2hded-small", "coc", **SMALL)
    with torch.no_grad():
        network.lower_head.last_conv.bias.fill_(5.0)
        assert network.train()(torch.rand(2, 3, 32, 32)).deblurred.max() > 1
        assert network.eval()(torch.rand(2, 3, 32, 32)).deblurred.max() == 1


def test_the_lower_head_adds_to_its_input():
    network = create_network("2hded-small", "coc", **SMALL).eval()
    torch.nn.init.zeros_(network.lower_head.last_conv.weight)
    image = torch.rand(1, 3, 40, 40)
    with torch.inference_mode():
        torch.testing.assert_close(network(image).deblurred, image)


def test_the_log_variance_offset_shifts_the_log_variance():
    network = create_network("2hded-small", "coc", **SMALL).eval()
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        before = network(image).coc_log_var
        network.log_var_offset += 1.5
        torch.testing.assert_close(network(image).coc_log_var, before + 1.5)


def test_a_fresh_network_hands_the_image_through_and_sees_a_room():
    torch.manual_seed(0)
    network = create_network("2hded-small", "depth", **SMALL).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        output = network(image)
    torch.testing.assert_close(output.depth_m, torch.full((1, 1, 64, 64), START_DEPTH_M), atol=0.2, rtol=0)
    torch.testing.assert_close(output.deblurred, image, atol=0.1, rtol=0)


def test_padding_repeats_the_border_and_leaves_multiples_alone():
    x = torch.arange(6.0).view(1, 1, 2, 3)
    padded = pad_to_multiple(x, 4)
    assert padded.shape == (1, 1, 4, 4)
    assert padded[0, 0, :, 3].tolist() == [2, 5, 5, 5]
    whole = torch.rand(1, 1, 64, 32)
    assert pad_to_multiple(whole) is whole


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        (("unet",), {}, "expected one of 2hded, 2hded-small"),
        (("2hded", "disparity"), {}, "expected 'depth' or 'coc'"),
        (("2hded-small",), {"width": 3}, "width"),
        (("2hded",), {"upper_widths": (8, 8)}, "upper_widths"),
        (("2hded-small",), {"encoder": {"depth": 3}}, "depth"),
        (("2hded-small",), {"upper_widths": (8,)}, "upper_widths is .8.; expected two to five"),
        (("2hded-small",), {"lower_widths": (8,) * 6}, "lower_widths"),
    ],
)
def test_what_cannot_be_built_is_named(arguments, options, says):
    with pytest.raises(ModelError, match=says):
        create_network(*arguments, **options)
