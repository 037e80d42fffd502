# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.errors import ModelError, UsageError
from dfd_perception.files.model_folder import find_model, load_model_folder, model_search_path

TINY = Path(__file__).resolve().parents[1] / "assets" / "tiny_coc"


@pytest.fixture
def model(tmp_path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "models" / "mine"))


def edit(model: Path, **changes) -> None:
    card = yaml.safe_load((model / "model.yaml").read_text())
    card.update(changes)
    (model / "model.yaml").write_text(yaml.safe_dump({k: v for k, v in card.items() if v is not None}))


def test_a_model_is_found_by_path_and_by_name(model, monkeypatch, tmp_path):
    assert load_model_folder(model).name == "mine"
    user = tmp_path / "share" / "dfd_perception" / "models"
    shutil.copytree(model, user / "robot")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert find_model("robot") == user / "robot"
    with pytest.raises(ModelError, match=r"'absent' not found.*robot.*looked in"):
        find_model("absent")


def test_the_users_models_come_before_the_installed_ones(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))
    assert model_search_path()[:2] == [
        tmp_path / "user/dfd_perception/models", tmp_path / "prefix/share/dfd_perception/models"
    ]  # fmt: skip


def test_a_hash_names_the_weights(model):
    folder = load_model_folder(model)
    assert folder.card.weights.sha256.startswith(folder.short_hash)
    assert len(folder.short_hash) == 12


@pytest.mark.parametrize("name", ["weights.safetensors", "model.onnx"])
def test_a_missing_file_is_named(model, name):
    (model / name).unlink()
    with pytest.raises(ModelError, match=f"{name}: missing"):
        load_model_folder(model)
    assert load_model_folder(model, verify=False).name == "mine"


def test_a_folder_without_a_card_is_no_model(tmp_path):
    with pytest.raises(ModelError, match=r"no model\.yaml in this folder"):
        load_model_folder(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"licence": "mine"}, "unknown key licence"),
        ({"target": "disparity"}, "'disparity'"),
        ({"variant": None}, "variant is missing"),
        ({"format": 2}, "format is 2"),
        ({"weights": {"file": "weights.safetensors"}}, "sha256 is missing"),
        ({"weights": {"file": "../w.safetensors", "sha256": "0"}}, "is not in the model's own folder"),
        ({"heads": []}, r"heads is \[\]; expected depth, deblurred or both"),
        ({"heads": ["depth", "depth"]}, "each once"),
        ({"probe": {"coc": ["a"]}}, r"probe\.'coc'\[0\] is 'a'; expected a number"),
        ({"probe": {"coc": 3.0}}, r"probe\.'coc' is 3.0; expected a list"),
        ({"lens": {"focal_length_mm": 0.035, "f_number": 1.4, "focus_distance_m": 0.6, "pixel_pitch_um": 5.0}},
         r"lens: focal_length_mm is 0\.035; expected 0\.5 to 2000 mm"),
    ],
)  # fmt: skip
def test_a_card_that_is_wrong_names_the_key(model, change, says):
    edit(model, **change)
    with pytest.raises(UsageError, match=says) as caught:
        load_model_folder(model)
    assert str(caught.value).count(str(model / "model.yaml")) == 1


def test_a_depth_model_needs_its_lens(model):
    edit(model, target="depth")
    with pytest.raises(ModelError, match="needs the lens"):
        load_model_folder(model)


def test_a_lens_outside_the_trained_range_is_said(model):
    edit(model, trained={"input_size": [32, 32], "gain_px_per_dioptre": [3, 30]})
    folder = load_model_folder(model)

    def notes(gain: float) -> list[str]:
        return folder.warnings_for(DefocusCurve(gain_px_per_dioptre=gain, focus_distance_m=0.6))

    assert notes(16.5) == []
    assert "make the image smaller" in notes(80.0)[0]
    assert "wider aperture" in notes(1.0)[0]
