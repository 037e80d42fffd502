# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Scenes kept on disk: the generator's own, rendered once, and never mixed with others."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dfd_perception.datasets.generated.kept_scenes import KeptScenes
from dfd_perception.datasets.generated.scenes import GeneratedScenes
from dfd_perception.datasets.generated.texture import TextureBank
from dfd_perception.errors import DatasetError, RecordingError
from dfd_perception.files.atomic import write_bytes


@pytest.fixture
def scenes() -> GeneratedScenes:
    return GeneratedScenes(textures=TextureBank(), size_px=40, seed=5, length=4)


def test_a_kept_scene_is_the_generated_one(scenes: GeneratedScenes, tmp_path: Path) -> None:
    kept = KeptScenes(scenes, tmp_path / "kept")
    for again in (kept[2], kept[2]):
        rendered = scenes[2]
        assert again.name == rendered.name
        # Kept as float16; sharpening and compression make more of a rounded grey level.
        for one, other in ((again.defocused, rendered.defocused), (again.aif, rendered.aif)):
            np.testing.assert_allclose(one.astype(int), other, atol=8)
            assert np.abs(one.astype(int) - other).mean() < 0.5
        np.testing.assert_allclose(again.coc_px, rendered.coc_px, atol=0.01)
    assert len(kept) == 4


def test_the_second_reading_blurs_nothing(scenes: GeneratedScenes, tmp_path: Path, monkeypatch) -> None:
    first = KeptScenes(scenes, tmp_path)[1]
    monkeypatch.setattr(GeneratedScenes, "exposure", None)
    np.testing.assert_array_equal(KeptScenes(scenes, tmp_path)[1].defocused, first.defocused)


def test_scenes_of_other_settings_are_refused(scenes: GeneratedScenes, tmp_path: Path) -> None:
    KeptScenes(scenes, tmp_path)
    KeptScenes(replace(scenes, length=9), tmp_path)
    with pytest.raises(DatasetError, match="choose another folder"):
        KeptScenes(replace(scenes, seed=6), tmp_path)
    with pytest.raises(DatasetError, match="choose another folder"):
        KeptScenes(replace(scenes, detailed_share=0.5), tmp_path)


def test_a_damaged_file_is_named(scenes: GeneratedScenes, tmp_path: Path) -> None:
    kept = KeptScenes(scenes, tmp_path)
    (tmp_path / "000003.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DatasetError, match=r"000003\.npy: cannot be read .*drawn again"):
        kept[3]


def test_a_file_in_place_of_the_folder_is_one_line(scenes: GeneratedScenes, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(RecordingError, match="cannot be written"):
        KeptScenes(scenes, tmp_path / "taken")


def test_processes_that_write_the_same_file_do_not_meet(tmp_path: Path, monkeypatch) -> None:
    path, replace_file = tmp_path / "file", os.replace

    def overtaken(partial: Path, whole: Path) -> None:
        monkeypatch.setattr(os, "replace", replace_file)
        monkeypatch.setattr(os, "getpid", lambda: 1)
        write_bytes(path, b"the other's")
        replace_file(partial, whole)

    monkeypatch.setattr(os, "replace", overtaken)
    write_bytes(path, b"ours")
    assert path.read_bytes() == b"ours"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
