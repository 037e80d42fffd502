# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
import torch

from dfd_perception.core import layered_blur as reference
from dfd_perception.core.point_spread import DISK, GAUSSIAN, PointSpread
from dfd_perception.errors import ImageError
from dfd_perception.losses.layered_blur_torch import blur_layers


@pytest.mark.parametrize("point_spread", [DISK, GAUSSIAN, PointSpread(blades=5, rotation_rad=0.3)])
def test_agrees_with_the_numpy_simulator(point_spread: PointSpread) -> None:
    rng = np.random.default_rng(0)
    images = rng.random((2, 40, 52, 3), dtype=np.float32)
    beta = np.broadcast_to(np.linspace(-6, 14, 52, dtype=np.float32), (2, 40, 52)).copy()
    beta[:, 10:25, 15:30] = 1.0
    beta[1, :5, :5] = np.nan
    expected = np.stack([reference.blur_layers(p, b, point_spread) for p, b in zip(images, beta, strict=True)])
    ours = blur_layers(torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(beta)[:, None], point_spread)
    # Both filter by FFT in float32 and divide by small weights at the rim of a surface.
    np.testing.assert_allclose(ours.permute(0, 2, 3, 1).numpy(), expected, atol=3e-4)
    assert np.abs(ours.permute(0, 2, 3, 1).numpy() - expected).mean() < 1e-5


def test_constant_image_and_focus() -> None:
    flat = torch.full((1, 3, 30, 30), 0.4)
    beta = torch.linspace(-3, 20, 30).expand(1, 1, 30, 30)
    torch.testing.assert_close(blur_layers(flat, beta), flat, atol=1e-5, rtol=0)
    image = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(blur_layers(image, torch.zeros(1, 1, 12, 12)), image)


def test_gradient_reaches_the_image() -> None:
    image = torch.rand(1, 1, 5, 6, dtype=torch.float64, requires_grad=True)
    beta = torch.linspace(0, 3, 6).expand(1, 1, 5, 6)
    assert torch.autograd.gradcheck(lambda p: blur_layers(p, beta), (image,), fast_mode=True)


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(ImageError, match="one channel"):
        blur_layers(torch.zeros(2, 3, 4, 4), torch.zeros(1, 1, 4, 4))
