# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
import torch

from dfd_perception.core.layered_blur import blur_layers
from dfd_perception.core.point_spread import DISK, GAUSSIAN
from dfd_perception.errors import LensError
from dfd_perception.losses.defocus import reblur_loss
from dfd_perception.losses.reblur import reblur_by_bank
from support.exact_reblur import reblur, source_weights

gaussian_bank = partial(reblur_by_bank, exponent=2.0)
BOTH = pytest.mark.parametrize("blur", [reblur, gaussian_bank, reblur_by_bank])


def _image(height: int, width: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def _varied_coc(height: int, width: int, largest: float) -> torch.Tensor:
    column = torch.linspace(0, largest, width, dtype=torch.float64)
    return column.expand(1, 1, height, width).clone()


@pytest.mark.parametrize("variance", [0.0, 1e-6, 0.3, 4.0, 60.0])
def test_weights_sum_to_one_with_the_exact_second_moment(variance: float) -> None:
    half = torch.stack(source_weights(torch.tensor(variance, dtype=torch.float64), 60))
    n = torch.arange(61, dtype=torch.float64)
    assert float(half[0] + 2 * half[1:].sum()) == pytest.approx(1.0, abs=1e-12)
    assert float(2 * (half * n**2).sum()) == pytest.approx(variance, abs=1e-9)


@BOTH
def test_a_constant_image_stays(blur) -> None:
    flat = torch.full((1, 3, 14, 17), 0.37, dtype=torch.float64)
    torch.testing.assert_close(blur(flat, _varied_coc(14, 17, 9.0)), flat)


@BOTH
def test_in_focus_is_the_identity(blur) -> None:
    image = _image(9, 11)
    torch.testing.assert_close(blur(image, torch.zeros(1, 1, 9, 11, dtype=torch.float64)), image)


@BOTH
@pytest.mark.parametrize("coc_px", [0.8, 3.0, 7.3])
def test_a_point_spreads_with_the_asked_moment_and_keeps_its_energy(blur, coc_px: float) -> None:
    point = torch.zeros(1, 1, 61, 61, dtype=torch.float64)
    point[0, 0, 30, 30] = 1
    spread = blur(point, torch.full_like(point, coc_px), sigma_per_coc=0.5)[0, 0]
    offset = torch.arange(61, dtype=torch.float64) - 30
    assert float(spread.sum()) == pytest.approx(1.0, abs=1e-3)
    for marginal in (spread.sum(0), spread.sum(1)):
        assert float((marginal * offset**2).sum().sqrt()) == pytest.approx(0.5 * coc_px, rel=0.01)


def test_the_sign_of_the_map_does_not_matter() -> None:
    image, coc = _image(12, 12), _varied_coc(12, 12, 6.0)
    torch.testing.assert_close(reblur(image, -coc), reblur(image, coc))


def test_a_sharp_pixel_beside_a_blurred_surface_receives_its_light() -> None:
    # Scatter, not gather: the sharp left half is washed over by the blurred right one, not the other way round.
    image = torch.zeros(1, 1, 5, 40, dtype=torch.float64)
    image[..., 20:] = 1
    coc = torch.zeros_like(image)
    coc[..., 20:] = 12.0
    row = reblur(image, coc)[0, 0, 2]
    assert 0.1 < float(row[19]) < 0.6
    assert float(row[20]) > 0.999


@pytest.mark.parametrize("ratio", [0.25, 0.5])
def test_both_forms_agree_on_a_varying_map(ratio: float) -> None:
    image, coc = _image(30, 34), _varied_coc(30, 34, 10.0)
    difference = reblur(image, coc, ratio) - gaussian_bank(image, coc, ratio)
    # Of white noise, 4 % of its contrast: below a sigma of 0.65 px the bank's kernels are 3x3 of equal second moment.
    assert float(difference.square().mean().sqrt()) < 0.012


@pytest.mark.parametrize("coc_px", [2.0, 6.0, 12.0])
def test_agrees_with_the_layered_simulator_on_a_plane(coc_px: float) -> None:
    image = torch.nn.functional.avg_pool2d(_image(62, 66), 3)
    image = torch.nn.functional.interpolate(image, size=(60, 60), mode="bilinear").clone()
    sharp = np.ascontiguousarray(image[0].permute(1, 2, 0).numpy().astype(np.float32))
    layered = blur_layers(sharp, np.full((60, 60), coc_px, np.float32), GAUSSIAN)
    margin = 14
    for blur in (reblur, gaussian_bank):
        ours = blur(image, torch.full((1, 1, 60, 60), coc_px, dtype=torch.float64))[0].permute(1, 2, 0).numpy()
        inside = (ours - layered)[margin:-margin, margin:-margin]
        # 2 % of the contrast at worst: a sampled Gaussian there, the discrete one here, of equal second moment.
        assert np.abs(inside).max() < 0.01
        assert np.sqrt((inside**2).mean()) < 0.002


@BOTH
def test_gradients_are_those_of_finite_differences(blur) -> None:
    image = _image(6, 7, 2).requires_grad_()
    # Away from the bank's levels, where its hat functions have a kink.
    generator = torch.Generator().manual_seed(2)
    coc = (0.31 + 4.3 * torch.rand(1, 1, 6, 7, generator=generator, dtype=torch.float64)).requires_grad_()
    fixed = {"radius_px": 5} if blur is reblur else {"largest_coc_px": 5.0}
    assert torch.autograd.gradcheck(lambda i, c: blur(i, c, 0.27, **fixed), (image, coc), eps=1e-6, atol=1e-6)


def test_the_map_can_be_learned_from_the_reblurred_image() -> None:
    image, true_coc = _image(24, 24), torch.full((1, 1, 24, 24), 5.0, dtype=torch.float64)
    target = reblur_by_bank(image, true_coc)
    coc = torch.full((), 2.0, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([coc], lr=0.2)
    for _ in range(60):
        optimiser.zero_grad()
        (reblur_by_bank(image, coc.expand_as(true_coc), largest_coc_px=10.0) - target).abs().mean().backward()
        optimiser.step()
    assert float(coc.detach()) == pytest.approx(5.0, abs=0.15)


def test_a_map_of_another_size_or_no_ratio_is_refused() -> None:
    with pytest.raises(LensError, match="one channel"):
        reblur_by_bank(torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 5))
    with pytest.raises(LensError, match="sigma_per_coc"):
        reblur_by_bank(torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4), sigma_per_coc=0.0)


def _textured(side: int) -> np.ndarray:
    """1/f noise with edges, (H, W, 3) float32 in [0.05, 0.95]."""
    rng = np.random.default_rng(4)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = 1
    texture = np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) / frequency).real
    texture = 0.5 + 0.15 * texture / texture.std()
    texture[side // 3 : side // 2, side // 4 : 3 * side // 4] += 0.3
    return np.repeat(np.clip(texture, 0.05, 0.95)[..., None], 3, axis=2).astype(np.float32)


@pytest.mark.parametrize("true_px", [3.0, 4.4, 6.5, 10.0])
def test_equation_5_1_finds_the_disk_that_blurred_an_image(true_px: float) -> None:
    sharp = _textured(72)
    blurred = cv2.filter2D(sharp, -1, DISK.kernel(true_px), borderType=cv2.BORDER_REFLECT)
    image, seen = (torch.from_numpy(x).permute(2, 0, 1)[None] for x in (sharp, blurred))
    inside = np.s_[..., 8:-8, 8:-8]
    candidates = np.arange(0.7 * true_px, 1.4 * true_px, 0.02 * true_px)
    losses = []
    for candidate in candidates:
        coc = torch.full((1, 1, 72, 72), float(candidate))
        losses.append(float(reblur_loss(reblur_by_bank(image, coc, largest_coc_px=16.0)[inside], seen[inside])))
    assert candidates[int(np.argmin(losses))] == pytest.approx(true_px, rel=0.05)
