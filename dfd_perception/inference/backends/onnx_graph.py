# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The ONNX graph of a model, cut to the heads that are asked for. What changes its precision is in `tensorrt/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dfd_perception.core.prediction import IMAGE_INPUT, PRIOR_INPUT
from dfd_perception.errors import BackendError, ModelError
from dfd_perception.inference.backends.interface import BackendRequest

IMAGE_CHANNELS = 3
CHANNELS = {"depth": 1, "coc": 1, "coc_log_var": 1, "deblurred": 3}


def require_fitting_graph(
    request: BackendRequest, inputs: Mapping[str, Sequence[Any]], outputs: Mapping[str, Sequence[Any]]
) -> None:
    """Check what a runtime found in the graph, before it is run.

    Args:
        inputs, outputs: shape by name; dimensions that are free are not integers.

    Raises:
        ModelError: an input or output that is absent, or of another rank or number of channels.
        BackendError: the graph is for another size.
    """
    where = request.model.onnx_path
    if set(inputs) != set(request.input_names):
        raise ModelError(
            f"{where}: takes {', '.join(sorted(inputs)) or 'nothing'}; expected {', '.join(request.input_names)}"
        )
    if request.prior_bins and not _may_be(inputs[PRIOR_INPUT][1], request.prior_bins):
        raise ModelError(
            f"{where}: {PRIOR_INPUT} has {inputs[PRIOR_INPUT][1]} bins; the card says {request.prior_bins}"
        )
    absent = [name for name in request.output_names if name not in outputs]
    if absent:
        raise ModelError(
            f"{where}: has no output {', '.join(absent)}; it has {', '.join(sorted(outputs)) or 'none'}. "
            f"Write it anew: dfd export {request.model.path} --out {where}"
        )
    wanted = {IMAGE_INPUT: IMAGE_CHANNELS, **{name: CHANNELS[name] for name in request.output_names}}
    for name, channels in wanted.items():
        shape = inputs[name] if name == IMAGE_INPUT else outputs[name]
        if len(shape) != 4 or not _may_be(shape[0], 1) or not _may_be(shape[1], channels):
            sides = "x".join(str(side) for side in shape)
            raise ModelError(f"{where}: {name} has shape {sides}; expected 1 x {channels} x height x width")
        if not all(_may_be(dimension, side) for dimension, side in zip(shape[2:], request.size, strict=True)):
            raise BackendError(
                f"{where}: {name} is of {shape[2]} x {shape[3]} pixels, {request.size[0]} x {request.size[1]} are "
                "asked for; export it without --size"
            )


def _may_be(dimension: Any, wanted: int) -> bool:
    return not isinstance(dimension, int) or dimension == wanted


def pruned_graph(request: BackendRequest, path: Path | None = None) -> bytes:
    """Serialised graph from its inputs to the outputs of the asked heads; the other head's nodes are gone.

    Runtimes execute every node of a graph, wanted or not, so leaving a head out must happen here.

    Args:
        path: another graph of the same model, such as one with quantisers; None = the model's own.

    Raises:
        BackendError: onnx is absent or the graph lacks an output.
        ModelError: the model folder has no graph.
    """
    path = path or request.model.onnx_path
    if request.heads == "both":
        return path.read_bytes()
    try:
        import onnx
        from onnx.utils import Extractor
    except ImportError as error:
        raise BackendError("running one head alone needs the package onnx; pip install onnx") from error
    graph = onnx.load(str(path))
    known = {output.name for output in graph.graph.output}
    absent = [name for name in request.output_names if name not in known]
    if absent:
        raise BackendError(f"{path}: has no output {', '.join(absent)}; it has {', '.join(sorted(known))}")
    pruned = Extractor(graph).extract_model(list(request.input_names), list(request.output_names))
    return bytes(pruned.SerializeToString())
