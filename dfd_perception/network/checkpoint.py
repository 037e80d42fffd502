# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Weights on disk: safetensors only, loaded strictly; and the model folder that everything else reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dfd_perception.errors import ModelError, reason_of
from dfd_perception.files.configuration import write_yaml
from dfd_perception.files.model_folder import (
    MODEL_FILE,
    WEIGHTS_FILE,
    FileHash,
    ModelCard,
    ModelFolder,
    card_as_mapping,
    sha256_of,
)
from dfd_perception.network.two_headed import TwoHeadedNet, create_network


def load_network(model: ModelFolder) -> TwoHeadedNet:
    """The network of a model folder, with its weights, in eval mode.

    Raises:
        ModelError: weights that are unreadable or of another variant.
    """
    card = model.card
    network = create_network(card.variant, card.target, **card.options)
    load_weights(network, model.weights_path)
    return network.eval()


def load_weights(network: TwoHeadedNet, path: Path) -> None:
    """Fill a network from a safetensors file; every tensor must be there and of the right shape.

    Raises:
        ModelError: not a safetensors file, or the weights of another network.
    """
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read as safetensors ({reason_of(error)})") from error
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ModelError(
            f"{path}: these are the weights of another variant, target or size ({first}); check model.yaml"
        ) from error


def save_model(network: TwoHeadedNet, folder: Path, card: ModelCard, with_onnx: bool = True) -> ModelFolder:
    """Write weights, ONNX graph and card; the card comes last, so a folder with one is whole.

    `card.weights` and `card.onnx` are filled in here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE)
    # safetensors writes for its owner alone; a model is there to be shared.
    (folder / WEIGHTS_FILE).chmod(0o644)
    weights_hash = FileHash(file=WEIGHTS_FILE, sha256=sha256_of(folder / WEIGHTS_FILE))
    card = replace(card, blur_bins=network.bins, weights=weights_hash, onnx=None)
    if with_onnx:
        from dfd_perception.network.onnx_export import add_onnx

        card = add_onnx(network, folder, card)
    write_yaml(folder / MODEL_FILE, card_as_mapping(card))
    return ModelFolder(folder, card)
