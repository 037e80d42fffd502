# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch

from dfd_perception.cli.__main__ import main
from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.network import create_network
from dfd_perception.network.checkpoint import load_network


class Optimiser:
    """What the authors pickled beside the weights."""


sys.modules["d3net_optimiser"] = type(sys)("d3net_optimiser")


@pytest.fixture(scope="module")
def network():
    return create_network("2hded", "depth").eval()


@pytest.fixture(scope="module")
def published_file(network, tmp_path_factory) -> Path:
    state = {f"features.{key}": value for key, value in network.encoder.state_dict().items()}
    upper = ["decoder.d_block5", "decoder.d_block4", "decoder.d_block3"]
    upper += ["decoder_tasks.0.d_block2", "decoder_tasks.0.d_block1"]
    lower = [f"decoder_aif.d_aif_block{n}" for n in (5, 4, 3, 2, 1)]
    for head, names in ((network.upper_head, upper), (network.lower_head, lower)):
        for name, block in zip(names, head.blocks, strict=True):
            state.update({f"{name}.0.{key}": value for key, value in block.state_dict().items()})
    state["decoder_tasks.0.last_conv.weight"] = network.upper_head.last_conv.weight.detach()
    state["decoder_aif.last_aif_conv.weight"] = network.lower_head.last_conv.weight.detach()
    state["attention_blocks.0.psi.0.weight"] = torch.zeros(1)
    Optimiser.__module__, Optimiser.__qualname__ = "d3net_optimiser", "Optimiser"
    sys.modules["d3net_optimiser"].Optimiser = Optimiser
    path = tmp_path_factory.mktemp("published") / "0300.pth.tar"
    torch.save({"epoch": 300, "state_dictG": state, "optimizerG": Optimiser()}, path)
    return path


@pytest.fixture
def lens_file(tmp_path) -> Path:
    path = tmp_path / "lens.yaml"
    path.write_text("{focal_length_mm: 14, f_number: 2.8, focus_distance_m: 1.6, pixel_pitch_um: 6}\n")
    return path


def test_a_published_checkpoint_becomes_a_model(published_file, lens_file, tmp_path, network, capsys):
    out = tmp_path / "converted"
    arguments = ["convert-checkpoint", str(published_file), "--out", str(out), "--lens", str(lens_file)]
    arguments += ["--trust-pickle", "--metres-per-unit", "0.5", "--depth-range", "0.5", "3.8", "--no-onnx"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "left out 1 tensor that" in captured.err
    assert "863 tensors, skips on" in captured.out
    model = load_model_folder(out)
    assert model.card.lens.f_number == 2.8
    assert model.card.trained.depth_m == (0.5, 3.8)
    image = torch.rand(1, 3, 32, 64)
    with torch.inference_mode():
        said, expected = load_network(model)(image), network(image)
    torch.testing.assert_close(said.depth_m, expected.depth_m * 0.5)
    torch.testing.assert_close(said.deblurred, expected.deblurred)
    assert main(arguments) == 2
    assert "holds a model already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ([], "--trust-pickle"),
        (["--trust-pickle", "--metres-per-unit", "0"], "must be positive"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_2(published_file, lens_file, tmp_path, capsys, change, says):
    out = tmp_path / "converted"
    arguments = ["convert-checkpoint", str(published_file), "--out", str(out), "--lens", str(lens_file), *change]
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert says in error
    assert "\n" not in error
    assert not out.exists()


def test_an_absent_file_is_named(lens_file, tmp_path, capsys):
    arguments = ["convert-checkpoint", str(tmp_path / "no.pth"), "--out", str(tmp_path / "m"), "--lens", str(lens_file)]
    assert main(arguments) == 2
    assert "no.pth" in capsys.readouterr().err
