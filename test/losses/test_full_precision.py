# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from dfd_perception.losses.defocus import coc_nll
from dfd_perception.losses.image import deblur_loss, ssim_loss
from dfd_perception.losses.layered_blur_torch import blur_layers
from dfd_perception.losses.reblur import reblur_by_bank
from dfd_perception.losses.regularisers import REGULARISERS, depth_loss

FUNCTIONS = {
    "depth": depth_loss,
    "deblurring": deblur_loss,
    "similarity": ssim_loss,
    "likelihood": lambda a, b: coc_nll(a, b, a + 1),
    "bank": lambda a, b: reblur_by_bank(a, 4 * b[:, :1]).mean(),
    "layers": lambda a, b: blur_layers(a, 4 * b[:, :1]).mean(),
    **{name: row.term for name, row in REGULARISERS.items()},
}


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_autocast_does_not_reach_inside(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = 0.5 + 0.01 * torch.rand(2, 1, 1, 24, 24, generator=generator)
    expected = FUNCTIONS[name](first, second)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = FUNCTIONS[name](first, second)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_half_precision_outputs_are_taken_and_get_a_gradient(name: str) -> None:
    first = (0.5 + 0.1 * torch.rand(1, 1, 24, 24)).to(torch.bfloat16).requires_grad_()
    loss = FUNCTIONS[name](first, 0.6 + 0.1 * torch.rand(1, 1, 24, 24))
    loss.backward()
    assert loss.dtype == torch.float32
    assert first.grad.dtype == torch.bfloat16
    assert torch.isfinite(first.grad).all()
