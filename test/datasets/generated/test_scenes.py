# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Generated scenes: deterministic, in range, and blurred where they say."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from dfd_perception.datasets.generated.exposure import signed_blur
from dfd_perception.datasets.generated.layout import Layout, random_layout
from dfd_perception.datasets.generated.painted import leaves, spectrum
from dfd_perception.datasets.generated.rendered import RenderedScenes, enlarged_softness_px2
from dfd_perception.datasets.generated.scenes import GeneratedScenes
from dfd_perception.datasets.generated.texture import TextureBank
from dfd_perception.errors import DatasetError


@pytest.fixture(scope="module")
def scenes() -> GeneratedScenes:
    return GeneratedScenes(textures=TextureBank(), size_px=96, seed=5)


def test_an_item_depends_on_seed_and_index_alone(scenes: GeneratedScenes) -> None:
    first, again = scenes[7], GeneratedScenes(textures=TextureBank(), size_px=96, seed=5)[7]
    np.testing.assert_array_equal(first.defocused, again.defocused)
    np.testing.assert_array_equal(first.coc_px, again.coc_px)
    other = GeneratedScenes(textures=TextureBank(), size_px=96, seed=6)[7]
    assert np.any(first.defocused != other.defocused)


def test_items_have_the_size_and_the_range(scenes: GeneratedScenes) -> None:
    for index in range(8):
        item = scenes[index]
        assert item.defocused.shape == (96, 96, 3)
        assert item.defocused.dtype == np.uint8
        assert item.aif is not None
        assert item.coc_px is not None
        assert item.coc_px.shape == (96, 96)
        assert item.coc_px.min() >= 0
        assert item.coc_px.max() <= 46


def _detail(image: np.ndarray) -> float:
    # Smoothed first, or sensor noise would pass for detail.
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.2)
    return float(cv2.Laplacian(grey, cv2.CV_32F).std())


def test_detail_shrinks_where_blur_grows(scenes: GeneratedScenes) -> None:
    kept, blur = [], []
    for index in range(100):
        item = scenes[index]
        kept.append(_detail(item.defocused) / max(_detail(item.aif), 1e-3))
        blur.append(float(item.coc_px.mean()))
    ranks = [np.argsort(np.argsort(values)) for values in (blur, kept)]
    assert np.corrcoef(*ranks)[0, 1] < -0.6


def test_the_blur_drawn_covers_sharp_far_near_and_both_sides() -> None:
    rng = np.random.default_rng(0)
    ends = np.array([signed_blur(rng, ramp(2), 45.0)[0] for _ in range(600)])
    far, near = ends[:, 0], ends[:, 1]
    assert np.abs(ends).max() <= 45
    assert 0.02 < np.mean(np.abs(ends).max(1) < 0.71) < 0.15
    assert np.mean((far > 5) & (near > -4.1)) > 0.4
    assert np.mean((near < -5) & (far <= 0)) > 0.03


@pytest.mark.parametrize("paint", [leaves, spectrum])
def test_painted_textures_are_as_rich_at_every_scale_as_photographs_are(paint) -> None:
    """Amplitude 1/f^s, s from 0.5 to 1.5 (Field 1987), fitted over periods of 4 to 64 px."""
    rng = np.random.default_rng(4)
    for _ in range(6):
        grey = paint(rng, 256).mean(-1)
        assert grey.std() > 0.02
        power = np.abs(np.fft.fft2((grey - grey.mean()) * np.outer(np.hanning(256), np.hanning(256)))) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
        bands = np.geomspace(1 / 64, 1 / 4, 9)
        means = [power[(frequency >= a) & (frequency < b)].mean() for a, b in itertools.pairwise(bands)]
        slope = np.polyfit(np.log(np.sqrt(bands[1:] * bands[:-1])), 0.5 * np.log(means), 1)[0]
        assert -1.8 < slope < -0.3


def test_nearness_spans_nought_to_one() -> None:
    layout = random_layout(np.random.default_rng(2), 80, TextureBank())
    assert layout.nearness.min() == pytest.approx(0)
    assert layout.nearness.max() == pytest.approx(1)
    assert layout.image.shape == (80, 80, 3)
    assert layout.image.min() >= 0
    assert layout.image.max() <= 1


def test_most_outlines_are_those_of_things_on_a_surface_not_afloat() -> None:
    jumps = []
    for seed in range(60):
        layout = random_layout(np.random.default_rng(seed), 96, TextureBank())
        outline = np.abs(np.diff(layout.image.mean(2), axis=1)) > 0.2
        jumps.append(np.abs(np.diff(layout.nearness, axis=1))[outline])
    # Not more, since rods stand before what they cross; textures hold outlines too.
    assert 0.52 < np.mean(np.concatenate(jumps) < 0.1) < 0.9


def test_photographs_come_from_a_folder_and_an_empty_one_is_refused(tmp_path) -> None:
    with pytest.raises(DatasetError, match="no image"):
        TextureBank.from_folder(tmp_path)
    image = np.zeros((200, 100, 3), np.uint8)
    image[..., 2] = 180  # OpenCV writes BGR: a red image
    cv2.imwrite(str(tmp_path / "red.png"), image)
    bank = TextureBank.from_folder(tmp_path)
    bank.photograph_share = 1.0
    texture = bank.random(np.random.default_rng(0), 40)
    assert texture[..., 0].mean() > 5 * texture[..., 2].mean()


@pytest.mark.parametrize("largest_coc_px", [3.0, 10.0, 27.0])
def test_blur_stays_within_its_bound_for_weak_lenses_too(largest_coc_px):
    for seed in range(400):
        for layout in (ramp(8), ramp(8, (0.2, 3.0))):
            beta = signed_blur(np.random.default_rng(seed), layout, largest_coc_px)
            assert np.abs(beta).max() <= largest_coc_px * (1 + 1e-6)


def test_scenes_with_a_size_mostly_get_the_blur_of_a_lens() -> None:
    """c = K (1/F - 1/z): as many pixels a dioptre between the ends of every scene, whatever the scene spans."""
    spread = {}
    for dioptres in ((0.4, 0.5), (0.2, 1.0)):
        betas = [signed_blur(np.random.default_rng(seed), ramp(2, dioptres), 45.0)[0] for seed in range(600)]
        spread[dioptres] = np.array([far - near for far, near in betas]) / (dioptres[1] - dioptres[0])
    for gains in spread.values():
        assert 0.75 < np.mean((gains > 5.9) & (gains < 36.1)) < 0.97
    narrow, wide = (float(np.median(gains)) for gains in spread.values())
    assert narrow == pytest.approx(wide, rel=0.2)
    # One that has no size is stretched over any blur.
    assert np.std([np.ptp(signed_blur(np.random.default_rng(seed), ramp(2), 45.0)) for seed in range(200)]) > 8


def ramp(count: int, dioptres: tuple[float, float] | None = None) -> Layout:
    """A row of `count` pixels from the farthest to the nearest point of a scene."""
    return Layout(np.zeros((1, count, 3), np.float32), np.linspace(0, 1, count, dtype=np.float32)[None], dioptres)


def test_rendered_images_give_scenes_of_any_size(tmp_path) -> None:
    folder = tmp_path / "0001"
    folder.mkdir()
    depth_mm = np.full((60, 80), 2000, np.uint16)
    depth_mm[20:40, 20:50] = 1000
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:40, 20:50, 1] = 200
    cv2.imwrite(str(folder / "depth.png"), depth_mm)
    cv2.imwrite(str(folder / "rgb.png"), image)
    rendered = RenderedScenes(tmp_path)
    for size_px in (48, 100):
        layout = rendered.random(np.random.default_rng(1), size_px)
        assert layout.image.shape == (size_px, size_px, 3)
        inside = layout.image[..., 1] > 0.5
        assert layout.nearness[inside].mean() > 0.9
        assert layout.nearness[~inside].mean() < 0.1
        assert layout.dioptres == pytest.approx((0.5, 1.0))


def test_enlarged_images_are_as_soft_as_the_label_says() -> None:
    fine = spectral_noise(1600)
    for scale in (1.25, 1.5):
        side = round(80 * scale)
        stored = cv2.resize(fine, (80, 80), interpolation=cv2.INTER_AREA)
        enlarged = cv2.resize(stored, (side, side), interpolation=cv2.INTER_CUBIC)
        taken = cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA)
        sigmas_px = np.arange(0.2, 1.2, 0.02)
        unlike = [np.mean((cv2.GaussianBlur(taken, (0, 0), s) - enlarged)[8:-8, 8:-8] ** 2) for s in sigmas_px]
        assert sigmas_px[np.argmin(unlike)] ** 2 == pytest.approx(enlarged_softness_px2(scale), abs=0.06)


def spectral_noise(size_px: int) -> np.ndarray:
    """(size, size) float32 of amplitude 1/f."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size_px), np.fft.fftfreq(size_px)))
    frequency[0, 0] = 1
    white = np.fft.fft2(np.random.default_rng(0).standard_normal((size_px, size_px)))
    return np.fft.ifft2(white / frequency).real.astype(np.float32)


def test_detailed_scenes_hold_fine_detail_nearly_everywhere() -> None:
    """Where the sharp image is plain, no network can learn to read blur from it."""

    def plain_share(share: float) -> float:
        scenes = GeneratedScenes(textures=TextureBank([busy_photograph()]), size_px=96, detailed_share=share, seed=2)
        plain = []
        for number in range(12):
            grey = scenes.exposure(number).sharp_light.mean(2)
            fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.5)) / (grey + 0.02)
            plain.append(cv2.blur(fine, (9, 9)) < 0.02)
        return float(np.mean(plain))

    assert plain_share(1.0) < 0.6 * plain_share(0.0)


def busy_photograph() -> np.ndarray:
    """(400, 400, 3) uint8 with detail in every place."""
    return np.random.default_rng(8).integers(0, 256, (400, 400, 3), np.uint8)
