# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dfd_perception.core.optics import Lens
from dfd_perception.errors import ModelError
from dfd_perception.files.model_folder import FileHash, ModelCard, TrainedRange, load_model_folder
from dfd_perception.network import create_network
from dfd_perception.network.checkpoint import load_network, load_weights, save_model

SMALL = {
    "encoder": {"stem": 8, "down": 8, "widths": [8, 8, 8, 8], "layers": [1, 1, 1, 1], "growth": 8},
    "upper_widths": [8, 8, 8, 8],
    "lower_widths": [8, 8, 8, 8, 8],
}
LENS = Lens(focal_length_mm=35, f_number=1.4, focus_distance_m=0.6, pixel_pitch_um=56.25)


def card_of(target: str = "coc", **changes) -> ModelCard:
    changes = {"options": SMALL, "lens": LENS if target == "depth" else None} | changes
    return ModelCard(
        variant="2hded-small", target=target, trained=TrainedRange(input_size=(32, 64), coc_px=(0.0, 27.0)),
        weights=FileHash(file="", sha256=""), **changes,
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    network = create_network("2hded-small", "coc", **SMALL).eval()
    return network, save_model(network, tmp_path / "model", card_of(), with_onnx=False)


@pytest.mark.parametrize("target", ["coc", "depth"])
def test_a_saved_network_comes_back_the_same(tmp_path, target):
    network = create_network("2hded-small", target, **SMALL).eval()
    network.log_var_offset += 0.7
    save_model(network, tmp_path / "model", card_of(target), with_onnx=False)
    model = load_model_folder(tmp_path / "model")
    again = load_network(model)
    assert not again.training
    for key, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    assert model.card.lens == (LENS if target == "depth" else None)
    assert model.card.trained.coc_px == (0.0, 27.0)


def test_memory_layout_does_not_reach_the_file(tmp_path, saved):
    network, model = saved
    network.to(memory_format=torch.channels_last)
    other = save_model(network, tmp_path / "other", card_of(), with_onnx=False)
    assert other.card.weights.sha256 == model.card.weights.sha256


def test_an_altered_file_is_noticed(saved):
    _, model = saved
    content = bytearray(model.weights_path.read_bytes())
    content[-1] ^= 1
    model.weights_path.write_bytes(content)
    with pytest.raises(ModelError, match=r"weights\.safetensors: its sha256 is .* the card says"):
        load_model_folder(model.path)


@pytest.mark.parametrize(
    ("variant", "target", "options"),
    [
        ("2hded-small", "depth", SMALL),
        ("2hded-small", "coc", {}),
        ("2hded-small", "coc", SMALL | {"upper_widths": [8, 8, 8, 16]}),
    ],
)
def test_weights_of_another_network_are_refused(saved, variant, target, options):
    with pytest.raises(ModelError, match="weights of another variant, target or size"):
        load_weights(create_network(variant, target, **options), saved[1].weights_path)


@pytest.mark.parametrize("content", [b"", b"\x80\x02pickle", b"\xff" * 64])
def test_a_file_that_is_no_safetensors_is_refused(tmp_path, content):
    path: Path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        load_weights(create_network("2hded-small", "coc", **SMALL), path)
