# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Scenes blurred ahead of the training by a process of its own: the generator's scenes, in the order of their use."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dfd_perception.core.point_spread import PointSpread
from dfd_perception.datasets.generated.exposure import blur_on_cpu
from dfd_perception.datasets.generated.scenes import GeneratedScenes
from dfd_perception.datasets.generated.texture import TextureBank
from dfd_perception.errors import DfdPerceptionError
from dfd_perception.training.config_sections import DataConfig
from dfd_perception.training.scene_filler import SceneFiller, TorchBlur
from dfd_perception.training.sources import open_sources

WAIT_S = 200


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "nothing was drawn in time"
        time.sleep(0.1)


def test_torch_blurs_as_the_generator_does() -> None:
    rng = np.random.default_rng(1)
    light = rng.random((60, 70, 3)).astype(np.float32)
    signed_coc_px = np.linspace(-6, 12, 70, dtype=np.float32)[None].repeat(60, 0)
    shape = PointSpread(blades=6, rim=0.3)
    blurred = TorchBlur("cpu")(light, signed_coc_px, shape)
    np.testing.assert_allclose(blurred, blur_on_cpu(light, signed_coc_px, shape), atol=2e-3)


def test_the_scenes_to_come_are_drawn_and_read(tmp_path: Path) -> None:
    config = DataConfig(kind="generated", scene_size_px=40, scenes=6, uses=2, keep_scenes=tmp_path / "kept")
    kept = open_sources(config, 3).kept
    assert kept is not None
    filler = SceneFiller(config, 3, "cpu", 1, kept.newest_at)
    try:
        filler.reach(0)
        wait_until(lambda: len(list((tmp_path / "kept" / "train").glob("*.npy"))) == 6)
    finally:
        filler.close()
    drawn = kept[4]
    # Of the same blur: on a processor wide blur is laid coarsely, which a scene of 40 px shows.
    scenes = GeneratedScenes(textures=TextureBank(), size_px=40, seed=3, length=6, uses=2, blur=TorchBlur("cpu"))
    alone = scenes[4]
    assert np.abs(drawn.defocused.astype(int) - alone.defocused).mean() < 1
    assert drawn.coc_px is not None
    assert alone.coc_px is not None
    np.testing.assert_allclose(drawn.coc_px, alone.coc_px, atol=0.02)


def test_a_folder_that_cannot_be_written_ends_the_training_in_words(tmp_path: Path) -> None:
    config = DataConfig(kind="generated", scene_size_px=40, scenes=6, keep_scenes=tmp_path / "kept")
    kept = open_sources(config, 3).kept
    assert kept is not None
    for number in range(6):
        (tmp_path / "kept" / "train" / f"{number:06d}.npy").mkdir()
    filler = SceneFiller(config, 3, "cpu", 1, kept.newest_at)
    try:
        with pytest.raises(DfdPerceptionError, match="kept"):
            wait_until(lambda: filler.reach(0))
    finally:
        filler.close()
