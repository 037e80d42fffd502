# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Total blur as the label: every softening that the generator lays on is in it, once."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfd_perception.datasets.generated.camera import photograph
from dfd_perception.datasets.generated.exposure import Exposure, signed_blur, soften_source
from dfd_perception.datasets.generated.layout import random_layout
from dfd_perception.datasets.generated.scenes import GeneratedScenes
from dfd_perception.datasets.generated.texture import TextureBank


def _variance_px2(row: np.ndarray) -> float:
    """Second moment of the edge spread's derivative."""
    line = np.diff(row.astype(np.float64))
    line /= line.sum()
    place = np.arange(line.size) - line @ np.arange(line.size)
    return float(line @ place**2)


def test_the_variance_of_a_softened_source_is_what_is_stated():
    edge = np.zeros((64, 200, 3), np.float32)
    edge[:, 100:] = 1.0
    edge = 0.25 + 0.5 * cv2.GaussianBlur(edge, (0, 0), 1.5)  # band-limited, and clear of the clipping
    before = _variance_px2(edge[32, :, 1])
    errors = []
    for seed in range(60):
        soft, stated_px2 = soften_source(np.random.default_rng(seed), edge)
        errors.append(_variance_px2(soft[32, :, 1]) - before - stated_px2)
    # JPEG and the phase of a resize move single ones.
    assert abs(np.median(errors)) < 0.03
    assert np.percentile(np.abs(errors), 80) < 0.12


def test_the_label_is_lens_and_floor_in_quadrature():
    exposure = Exposure(
        light=np.full((16, 16, 3), 0.3, np.float32),
        sharp_light=np.full((16, 16, 3), 0.3, np.float32),
        signed_coc_px=np.full((16, 16), -3.0, np.float32),
        floor_variance_px2=1.0,
        gamma=2.2,
    )
    labels = [photograph(np.random.default_rng(seed), exposure, "a").coc_px[0, 0] for seed in range(40)]
    assert min(labels) == pytest.approx(5.0)  # 4 sigma = 4, and 3 of the lens
    assert max(labels) <= np.hypot(3, 4 * np.sqrt(1 + 0.15 + 0.49)) + 1e-4


def test_a_source_sharpened_beyond_its_softness_clips_at_no_blur():
    exposure = Exposure(
        light=np.full((8, 8, 3), 0.3, np.float32),
        sharp_light=np.full((8, 8, 3), 0.3, np.float32),
        signed_coc_px=np.zeros((8, 8), np.float32),
        floor_variance_px2=-2.0,
        gamma=2.2,
    )
    assert photograph(np.random.default_rng(3), exposure, "a").coc_px.max() == 0


def test_the_all_in_focus_image_is_processed_as_the_defocused_one_is() -> None:
    stripes = np.sin(np.arange(96) * 2 * np.pi / 8).astype(np.float32)
    light = np.broadcast_to(0.3 + 0.15 * stripes[:, None], (96, 96, 3)).copy()
    exposure = Exposure(
        light=light, sharp_light=light, signed_coc_px=np.zeros((96, 96), np.float32), floor_variance_px2=1.0, gamma=2.2
    )

    def contrast(image: np.ndarray) -> float:
        return float(image[8:-8, 8:-8].mean((0, 2)) @ stripes[8:-8])

    for seed in range(40):  # two thirds of them are sharpened, the strongest to one and a half times this contrast
        sample = photograph(np.random.default_rng(seed), exposure, "a")
        assert contrast(sample.defocused) == pytest.approx(contrast(sample.aif), rel=0.08), seed


def test_every_band_of_blur_is_drawn_often_enough():
    rng = np.random.default_rng(0)
    bank = TextureBank()
    layouts = [random_layout(np.random.default_rng(seed), 48, bank) for seed in range(60)]
    blur_px = np.concatenate([np.abs(signed_blur(rng, layouts[i % 60], 45.0)).ravel() for i in range(3000)])
    bands = np.histogram(blur_px, bins=np.arange(0, 46, 5))[0] / blur_px.size
    assert bands.min() >= 0.06, bands
    assert np.mean(blur_px < 1) > 0.06


def test_neighbours_in_the_stream_share_exposures_and_the_stream_moves_on():
    scenes = GeneratedScenes(textures=TextureBank(), size_px=40, length=1000, uses=8)
    assert len(scenes) == 8000
    early = {scenes.index_at(position, 0) // 8 for position in range(64)}
    late = {scenes.index_at(position, 0) // 8 for position in range(4000, 4064)}
    assert max(early) <= 96 + 8
    assert min(late) > 400
    assert [scenes.index_at(p, 0) for p in range(9)] == [scenes.index_at(p, 0) for p in range(9)]


def test_uses_of_an_exposure_differ_by_their_camera_alone():
    scenes = GeneratedScenes(textures=TextureBank(), size_px=40, length=10, uses=4)
    first, second = scenes[4], scenes[5]
    assert np.any(first.defocused != second.defocused)
    exposure = scenes.exposure(1)
    np.testing.assert_array_equal(scenes.sample_of(exposure, 5).defocused, second.defocused)
