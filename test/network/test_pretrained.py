# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re

import pytest
import torch

from dfd_perception.errors import ModelError
from dfd_perception.network import create_network
from dfd_perception.network.pretrained import (
    load_densenet_encoder,
    published_weights,
    read_torch_file,
    scale_depth,
)


@pytest.fixture(scope="module")
def network():
    return create_network("2hded", "depth")


def torchvision_state(network, dots: bool = False, counters: bool = True) -> dict[str, torch.Tensor]:
    """The keys and shapes of torchvision's densenet121, filled with recognisable values."""
    state = {}
    for number, (key, tensor) in enumerate(network.encoder.state_dict().items()):
        if key.startswith(("downconv0.", "norm1.")) or (not counters and key.endswith("num_batches_tracked")):
            continue
        name = re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key) if dots else key
        state[f"features.{name}"] = torch.full_like(tensor, number)
    state["features.conv0.weight"] = torch.zeros(64, 3, 7, 7)
    state["classifier.weight"] = torch.zeros(1000, 1024)
    state["classifier.bias"] = torch.zeros(1000)
    return state


AUTHORS_BLOCKS = [f"decoder.d_block{n}.0" for n in (5, 4, 3)] + [f"decoder_tasks.0.d_block{n}.0" for n in (2, 1)]
AUTHORS_AIF_BLOCKS = [f"decoder_aif.d_aif_block{n}.0" for n in (5, 4, 3, 2, 1)]


def authors_state(network) -> dict[str, torch.Tensor]:
    """state_dictG of an authors' checkpoint, 863 tensors."""
    state = {f"features.{key}": value for key, value in network.encoder.state_dict().items()}
    heads = ((network.upper_head, AUTHORS_BLOCKS), (network.lower_head, AUTHORS_AIF_BLOCKS))
    for head, names in heads:
        for name, block in zip(names, head.blocks, strict=True):
            state.update({f"{name}.{key}": value for key, value in block.state_dict().items()})
    state["decoder_tasks.0.last_conv.weight"] = network.upper_head.last_conv.weight.detach()
    state["decoder_aif.last_aif_conv.weight"] = network.lower_head.last_conv.weight.detach()
    return state


@pytest.mark.parametrize("dots", [False, True])
def test_densenet_fills_all_but_the_stem(dots):
    network = create_network("2hded", "depth")
    before = network.encoder.conv0.weight.clone()
    source = torchvision_state(network, dots)
    assert load_densenet_encoder(network, source) == 724
    torch.testing.assert_close(network.encoder.conv0.weight, before)
    for key, tensor in torchvision_state(network).items():
        if key.startswith("features.") and "conv0" not in key:
            torch.testing.assert_close(network.encoder.state_dict()[key.removeprefix("features.")], tensor)


def test_densenet_of_before_the_step_counters(network):
    assert load_densenet_encoder(network, torchvision_state(network, dots=True, counters=False)) == 603


def test_another_densenet_is_refused(network):
    source = torchvision_state(network)
    source["features.denseblock4.denselayer17.norm1.weight"] = torch.zeros(1024)
    with pytest.raises(ModelError, match="densenet121.*denselayer17"):
        load_densenet_encoder(network, source)
    with pytest.raises(ModelError, match="724 tensors absent|603 tensors absent"):
        load_densenet_encoder(network, {"conv1.weight": torch.zeros(1)})
    with pytest.raises(ModelError, match="variant 2hded"):
        load_densenet_encoder(create_network("2hded-small"), source)


def test_the_authors_checkpoint_gives_the_same_answers():
    network, other = create_network("2hded", "depth").eval(), create_network("2hded", "depth").eval()
    state = authors_state(network)
    assert len(state) == 863
    state["attention_blocks.0.W_g.0.weight"] = torch.zeros(1)
    published = published_weights({"epoch": 3, "state_dictG": state})
    assert published.skips
    assert published.left_out == ["attention_blocks.0.W_g.0.weight"]
    other.load_state_dict({"log_var_offset": torch.zeros(()), **published.weights}, strict=True)
    image = torch.rand(1, 3, 64, 32)
    with torch.inference_mode():
        said, expected = other(image), network(image)
    torch.testing.assert_close(said.depth_m, expected.depth_m)
    torch.testing.assert_close(said.deblurred, expected.deblurred)


def test_depth_in_another_unit_becomes_metres(network):
    weights = published_weights(authors_state(network)).weights
    before = weights["upper_head.last_conv.weight"].clone()
    scale_depth(weights, 10 / 255)
    torch.testing.assert_close(weights["upper_head.last_conv.weight"], before * 10 / 255)


def test_a_checkpoint_without_skips_is_recognised():
    published = published_weights(authors_state(create_network("2hded", "depth", skips=False)))
    assert not published.skips
    create_network("2hded", "depth", skips=False).load_state_dict(
        {"log_var_offset": torch.zeros(()), **published.weights}
    )


def test_what_is_no_published_checkpoint_is_said(network):
    with pytest.raises(ModelError, match="encoder without heads"):
        published_weights(torchvision_state(network))
    with pytest.raises(ModelError, match="expected state_dictG"):
        published_weights({"layer1.weight": torch.zeros(1)})


class Planted:
    """Something that a state dict has no business to hold."""

    def __reduce__(self):
        return (print, ("ran",))


def test_pickled_objects_need_trust(tmp_path):
    path = tmp_path / "0001.pth.tar"
    torch.save({"state_dictG": {}, "optimizerG": Planted()}, path)
    with pytest.raises(ModelError, match="--trust-pickle"):
        read_torch_file(path)
    assert "state_dictG" in read_torch_file(path, trust_pickle=True)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"\x80\x02}q\x00."])
def test_files_that_are_no_checkpoint(tmp_path, content):
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.pth"):
        read_torch_file(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xd8\xff\xe0 a photograph", "not a checkpoint of torch; expected a .pth, .pt or .safetensors file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a pointer of git-lfs.*git lfs pull"),
        (b"", "not a checkpoint of torch"),
    ],
)
def test_what_is_no_checkpoint_is_not_asked_to_be_trusted(tmp_path, content, says):
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(ModelError, match=says) as caught:
        read_torch_file(tmp_path / "photo.jpg")
    assert "trust" not in str(caught.value)
