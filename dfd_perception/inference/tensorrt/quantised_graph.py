# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Quantisers for int8: placed and scaled by ONNX Runtime's tool on a CPU, from real images, the way TensorRT wants.

TensorRT takes quantisers that are symmetric, for weights and activations alike, and no quantised bias. Transposed
convolutions are left in float16 unless asked for: TensorRT's int8 kernels for them are slower than its float16 ones
(NVIDIA/TensorRT issue 1699). The first and the last convolutions stay too: they see and make the image's values.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.network_geometry import SIZE_MULTIPLE
from dfd_perception.core.prediction import IMAGE_INPUT
from dfd_perception.errors import EngineError, counted
from dfd_perception.files.model_folder import ModelFolder
from dfd_perception.inference.tensorrt.half_graph import CONVOLUTIONS

FEWEST_IMAGES = 8


def write_calibrated_graph(
    source: Path,
    out: Path,
    images: Sequence[NDArray[np.float32]],
    *,
    transposed: bool = False,
) -> int:
    """Write the float32 graph `source` with int8 quantisers to `out`; height and width stay free.

    Args:
        images: (1, 3, H, W) float32 RGB in [0, 1], of what the robot sees; a few dozen do.
        transposed: quantise transposed convolutions as well.

    Returns:
        How many convolutions are quantised.

    Raises:
        EngineError: too few images or of a size that the network does not take, the tool is absent, or the graph
            has no convolution to quantise.
    """
    _require_images(images)
    try:
        import onnx
        import onnxruntime.quantization as quantization
    except ImportError as error:
        raise EngineError(f"int8 calibration needs onnx and onnxruntime ({error}); pip install onnxruntime") from error
    model = onnx.load(str(source))
    kinds = CONVOLUTIONS if transposed else ("Conv",)
    edge = _edge_convolutions(model.graph)
    chosen = [node.name for node in model.graph.node if node.op_type in kinds and node.name not in edge]
    if not chosen:
        raise EngineError(f"{source}: no convolution between the first and the last to quantise")
    with tempfile.TemporaryDirectory() as folder, _quiet():
        quantised = Path(folder) / "quantised.onnx"
        _quantise(quantization, model, quantised, images, kinds, chosen)
        result = onnx.load(str(quantised))
    # The tool's own notes hold temporary paths.
    del result.graph.value_info[:]
    out.write_bytes(result.SerializeToString())
    return len(chosen)


def _require_images(images: Sequence[NDArray[np.float32]]) -> None:
    if len(images) < FEWEST_IMAGES:
        raise EngineError(f"int8 calibration got {counted(len(images), 'image')}; expected at least {FEWEST_IMAGES}")
    odd = next((p.shape for p in images if p.shape[2] % SIZE_MULTIPLE or p.shape[3] % SIZE_MULTIPLE), None)
    if odd is not None:
        raise EngineError(
            f"int8 calibration got an image of shape {odd}; expected sides of multiples of {SIZE_MULTIPLE}"
        )


def _quantise(
    quantization: Any,
    model: Any,
    out: Path,
    images: Sequence[NDArray[np.float32]],
    kinds: Sequence[str],
    nodes: list[str],
) -> None:
    """Have the tool place symmetric quantisers around the named nodes, scaled by what the images make of them."""
    quantization.quantize_static(
        model,
        str(out),
        _reader(quantization.CalibrationDataReader, images, model),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
        nodes_to_quantize=nodes,
        op_types_to_quantize=list(kinds),
        calibrate_method=quantization.CalibrationMethod.MinMax,
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "DedicatedQDQPair": True,
        },
    )


def calibration_path(cache_folder: Path, onnx_sha256: str) -> Path:
    """Where the int8 graph of a model is kept."""
    return cache_folder / "calibrated" / f"{onnx_sha256[:16]}.onnx"


def not_calibrated(model: ModelFolder) -> str:
    """What to say of an int8 engine without a calibration."""
    return (
        f"precision int8: {model.name} is not calibrated on this machine; "
        f"dfd build-engine {model.path} --precision int8 --calibration FOLDER_OF_IMAGES"
    )


def _edge_convolutions(graph: Any) -> set[str]:
    """Names of convolutions with none before them, or none behind."""
    producer = {name: node for node in graph.node for name in node.output}
    behind: dict[str, bool] = {}
    for node in graph.node:
        inputs = [producer[name] for name in node.input if name in producer]
        behind[node.name] = any(behind[p.name] or p.op_type in CONVOLUTIONS for p in inputs)
    before: set[str] = set()
    for node in reversed(graph.node):
        if node.op_type in CONVOLUTIONS or node.name in before:
            before.update(producer[name].name for name in node.input if name in producer)
    convolutions = [node.name for node in graph.node if node.op_type in CONVOLUTIONS]
    return {name for name in convolutions if not behind[name] or name not in before}


def _reader(base: Any, images: Sequence[NDArray[np.float32]], model: Any) -> Any:
    # Calibrated without a lens: the prior's input holds nothing against any blur.
    others = {
        value.name: np.zeros([dim.dim_value for dim in value.type.tensor_type.shape.dim], np.float32)
        for value in model.graph.input
        if value.name != IMAGE_INPUT
    }

    class Images(base):
        """Hands the images out once, as the tool asks for them."""

        def __init__(self) -> None:
            self._images: Iterator[NDArray[np.float32]] = iter(images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self._images, None)
            return None if image is None else {IMAGE_INPUT: image, **others}

    return Images()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The tool logs advice on the root logger that does not apply here."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
