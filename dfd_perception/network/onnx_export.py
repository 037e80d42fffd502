# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""torch to one ONNX file (opset 18) that every backend reads.

What the graph leaves out: padding to multiples of 32, resizing, the lens. What it holds: normalisation, both
heads, clamping of the all-in-focus image to [0, 1], and in its metadata what model.yaml says.
"""

from __future__ import annotations

import copy
import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dfd_perception.core.network_geometry import SIZE_MULTIPLE
from dfd_perception.core.prediction import IMAGE_INPUT, OUTPUT_NAMES, PRIOR_INPUT, Heads
from dfd_perception.core.probe import probe_image, summary_of
from dfd_perception.core.size import Size
from dfd_perception.errors import ModelError
from dfd_perception.files.atomic import write_bytes
from dfd_perception.files.model_folder import ONNX_FILE, FileHash, ModelCard, sha256_of
from dfd_perception.network.two_headed import TwoHeadedNet

OPSET = 18
OUTPUT_FIELDS = {"depth": "depth_m", "coc": "coc_px", "coc_log_var": "coc_log_var", "deblurred": "deblurred"}


class _NamedOutputs(nn.Module):
    """The network with its record flattened to a tuple, as a graph wants it; optionally in half precision inside."""

    def __init__(self, network: TwoHeadedNet, heads: Heads, half: bool) -> None:
        super().__init__()
        self.network = network.half() if half else network
        self.heads = heads
        self.half_inside = half
        self.names = OUTPUT_NAMES[network.target, heads]

    def forward(self, image: Tensor, blur_log_prior: Tensor | None = None) -> tuple[Tensor, ...]:
        image = image.half() if self.half_inside else image
        outputs = self.network(image, heads=self.heads, blur_log_prior=blur_log_prior)
        return tuple(getattr(outputs, OUTPUT_FIELDS[name]).float() for name in self.names)


def export_onnx(
    network: TwoHeadedNet,
    out: Path,
    *,
    heads: Heads = "both",
    size: Size | None = None,
    half: bool = False,
    metadata: dict[str, str] | None = None,
) -> list[str]:
    """Write one self-contained ONNX file and return the names of its outputs.

    Args:
        size: height and width, multiples of 32, for a static graph (TensorRT); None leaves them free.
        half: compute in float16 inside, float32 outside (for strongly typed TensorRT networks). The network
            given is not changed.
        metadata: stored in the file's metadata_props.

    Raises:
        ModelError: a size that the encoder cannot halve five times.
    """
    import onnx

    if size is not None and any(side < SIZE_MULTIPLE or side % SIZE_MULTIPLE for side in size):
        raise ModelError(f"size is {size[0]}x{size[1]}; expected multiples of {SIZE_MULTIPLE} (height x width)")
    module = _NamedOutputs(copy.deepcopy(network).cpu().eval(), heads, half).eval()
    # Not a size of any use: odd ratios, so that the exporter cannot take one dimension for another.
    examples = {IMAGE_INPUT: torch.zeros(1, 3, *(size or (64, 96)))}
    if network.bins and heads != "deblurred":
        examples[PRIOR_INPUT] = torch.zeros(1, network.bins, 1, 1)
    dynamic: dict[str, Any] | None = None
    if size is None:
        blocks = (torch.export.Dim("blocks_high", min=1, max=256), torch.export.Dim("blocks_wide", min=1, max=256))
        dynamic = {name: None for name in examples}
        dynamic[IMAGE_INPUT] = {2: SIZE_MULTIPLE * blocks[0], 3: SIZE_MULTIPLE * blocks[1]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for talkative in ("torch.onnx", "onnxscript", "onnx_ir"):
            logging.getLogger(talkative).setLevel(logging.ERROR)
        program = torch.onnx.export(
            module,
            tuple(examples.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(examples),
            output_names=list(module.names),
            dynamic_shapes=dynamic,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ModelError("the ONNX exporter of this torch returned nothing; use the pinned torch version")
    graph = program.model_proto
    _forget_the_source(graph)
    for key, value in (metadata or {}).items():
        graph.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(graph)
    write_bytes(out, graph.SerializeToString())
    return list(module.names)


def _forget_the_source(graph: Any) -> None:
    """Drop the exporter's notes on nodes and tensors: stack traces with the paths of the machine that exported."""
    for part in (
        graph.graph.node,
        graph.graph.value_info,
        graph.graph.initializer,
        graph.graph.input,
        graph.graph.output,
    ):
        for item in part:
            del item.metadata_props[:]
    for node in graph.graph.node:
        node.doc_string = ""


def card_metadata(card: ModelCard) -> dict[str, str]:
    """What a graph says of itself, so that an engine can be traced to its weights."""
    trained = card.trained
    ranges = {"trained_coc_px": trained.coc_px, "trained_gain_px_per_dioptre": trained.gain_px_per_dioptre}
    return {
        "variant": card.variant,
        "target": card.target,
        "weights_sha256": card.weights.sha256,
        "normalisation": card.normalisation,
        "unit": "m" if card.target == "depth" else "px",
        **{k: f"{v[0]:g} {v[1]:g}" for k, v in ranges.items() if v is not None},
    }


def add_onnx(network: TwoHeadedNet, folder: Path, card: ModelCard) -> ModelCard:
    """Write `model.onnx` with free height and width into a model folder; returns the card that describes it."""
    export_onnx(network, folder / ONNX_FILE, heads=card.all_heads, metadata=card_metadata(card))
    graph = FileHash(file=ONNX_FILE, sha256=sha256_of(folder / ONNX_FILE))
    return replace(card, onnx=graph, probe=probe_answer(network, card.all_heads))


def probe_answer(network: TwoHeadedNet, heads: Heads) -> dict[str, list[float]]:
    """What the weights say to the probe image, for the card."""
    module = _NamedOutputs(copy.deepcopy(network).cpu().float().eval(), heads, half=False).eval()
    with torch.inference_mode():
        outputs = module(torch.from_numpy(probe_image()))
    return summary_of({name: answer.numpy() for name, answer in zip(module.names, outputs, strict=True)})
