# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Weights that others published: key maps from torchvision's DenseNet-121 and from the authors' checkpoints.

torchvision        here                    authors (`state_dictG`)                         here
features.X         encoder.X               features.X                                      encoder.X
                   (not conv0: 7x7 there)  decoder.d_block{5,4,3}.0.X                      upper_head.blocks.{0,1,2}.X
classifier.X       nothing                 decoder_tasks.0.d_block{2,1}.0.X                upper_head.blocks.{3,4}.X
                                           decoder_tasks.0.last_conv.weight                upper_head.last_conv.weight
                                           decoder_aif.d_aif_block{5..1}.0.X               lower_head.blocks.{0..4}.X
                                           decoder_aif.last_aif_conv.weight                lower_head.last_conv.weight
                                           attention_blocks.X                              nothing (left out)
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from dfd_perception.errors import ModelError, counted, reading
from dfd_perception.network.two_headed import TwoHeadedNet

NEW_IN_STEM = ("conv0.", "downconv0.", "norm1.")
"""Parts of the encoder that DenseNet-121 has in another form or not at all: 7 of its 731 tensors."""

_OLD_LAYER_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
_PUBLISHED_KEYS = (
    (re.compile(r"features\.(.+)"), r"encoder.\1"),
    (re.compile(r"decoder\.d_block([543])\.0\.(.+)"), r"upper_head.blocks.<\1>.\2"),
    (re.compile(r"decoder_tasks\.0\.d_block([21])\.0\.(.+)"), r"upper_head.blocks.<\1>.\2"),
    (re.compile(r"decoder_tasks\.0\.last_conv\.weight"), "upper_head.last_conv.weight"),
    (re.compile(r"decoder_aif\.d_aif_block([54321])\.0\.(.+)"), r"lower_head.blocks.<\1>.\2"),
    (re.compile(r"decoder_aif\.last_aif_conv\.weight"), "lower_head.last_conv.weight"),
)


class PublishedWeights(NamedTuple):
    """An authors' checkpoint in this project's names."""

    weights: dict[str, Tensor]
    skips: bool
    """Whether its decoders take the encoder's skips."""
    left_out: list[str]
    """Tensors that this network has no place for."""


def read_torch_file(path: Path, trust_pickle: bool = False) -> Mapping[str, Any]:
    """The mapping in a safetensors or torch file, on the CPU.

    Args:
        trust_pickle: also unpickle objects, which can run code of whoever made the file.

    Raises:
        ModelError: not readable, or it needs `trust_pickle`.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    with reading(path, ModelError, "expected a checkpoint"):
        if path.suffix == ".safetensors":
            return load_file(path)
        _require_torch_file(path)
        try:
            content = torch.load(path, map_location="cpu", weights_only=not trust_pickle)
        except pickle.UnpicklingError as error:
            if trust_pickle or "weights_only" not in str(error):
                raise ModelError(f"{path}: not a torch checkpoint ({str(error).splitlines()[0]})") from error
            raise ModelError(
                f"{path}: holds pickled objects, which run code when loaded; "
                "if you trust where it comes from, give --trust-pickle"
            ) from error
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: holds {type(content).__name__}; expected a state dict or a checkpoint with one")
    return content


def _require_torch_file(path: Path) -> None:
    """Look at the first bytes: only a real checkpoint is worth the question whether its pickles are trusted.

    Raises:
        ModelError: neither the zip of torch since 1.6 nor a pickle.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if not start.startswith((b"PK\x03\x04", b"\x80")):
        raise ModelError(f"{path}: not a checkpoint of torch; expected a .pth, .pt or .safetensors file")


def densenet_encoder_weights(source: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of torchvision's `densenet121` that fit the encoder, under this project's names.

    Old files write `denselayer1.norm.1.weight` for `denselayer1.norm1.weight`; both are read.
    """
    weights = {}
    for key, tensor in source.items():
        prefix, _, name = _OLD_LAYER_NAME.sub(r"\1\2", key).partition("features.")
        if prefix or not name or name.startswith(NEW_IN_STEM):
            continue
        weights[f"encoder.{name}"] = tensor
    return weights


def load_densenet_encoder(network: TwoHeadedNet, source: Mapping[str, Any]) -> int:
    """Fill the encoder of `2hded` from torchvision's `densenet121`; the changed stem keeps its initialisation.

    Returns:
        Number of tensors taken: 724, or 603 from a file older than BatchNorm's step counters.

    Raises:
        ModelError: another architecture.
    """
    weights = densenet_encoder_weights(source)
    own = network.state_dict()
    wanted = {key for key in own if key.startswith("encoder.") and not key[8:].startswith(NEW_IN_STEM)}
    absent = sorted(key for key in wanted - weights.keys() if not key.endswith("num_batches_tracked"))
    strange = sorted(key for key, tensor in weights.items() if key not in wanted or tensor.shape != own[key].shape)
    if absent or strange:
        example = (absent or strange)[0].removeprefix("encoder.")
        raise ModelError(
            f"not the weights of torchvision's densenet121 for variant 2hded: {counted(len(absent), 'tensor')} absent, "
            f"{len(strange)} unknown or of another shape (features.{example})"
        )
    network.load_state_dict(weights, strict=False)
    return len(weights)


def published_weights(checkpoint: Mapping[str, Any]) -> PublishedWeights:
    """An authors' checkpoint (or its bare `state_dictG`) as weights of `2hded`, target depth.

    Raises:
        ModelError: no state dict of 2HDED:NET in it.
    """
    state = checkpoint.get("state_dictG", checkpoint)
    if not isinstance(state, Mapping) or "decoder.d_block5.0.conv1.weight" not in state:
        if isinstance(state, Mapping) and "features.conv0.weight" in state:
            raise ModelError(
                "holds an ImageNet encoder without heads, which is no model yet; "
                "name the file in a recipe as model.encoder_weights and train"
            )
        raise ModelError(
            f"no 2HDED:NET in it: expected state_dictG with decoder.d_block5..., got {', '.join(list(state)[:3])}"
        )
    weights, left_out = {}, []
    for key, tensor in state.items():
        name = _translated(key.removeprefix("module."))
        if name is None:
            left_out.append(key)
        else:
            weights[name] = tensor
    # The first block that takes a skip has as many input channels as decoder and encoder together.
    skips = state["decoder.d_block4.0.conv1.weight"].shape[0] == 1024
    return PublishedWeights(weights, skips, left_out)


def scale_depth(weights: dict[str, Tensor], metres_per_unit: float) -> None:
    """Make a head that says other units say metres, in place: its last convolution is linear and has no bias."""
    weights["upper_head.last_conv.weight"] = weights["upper_head.last_conv.weight"] * metres_per_unit


def _translated(key: str) -> str | None:
    for pattern, replacement in _PUBLISHED_KEYS:
        match = pattern.fullmatch(key)
        if match:
            # Their blocks count down to the output, ours are a list from the bottleneck on.
            return re.sub(r"<(\d)>", lambda m: str(5 - int(m.group(1))), match.expand(replacement))
    return None
