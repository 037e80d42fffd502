# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Model folders with a network of a few hundred weights, made with onnx alone: what a robot without torch has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dfd_perception.core.optics import Lens
from dfd_perception.files.configuration import write_yaml
from dfd_perception.files.model_folder import FileHash, ModelCard, ModelFolder, TrainedRange, card_as_mapping, sha256_of

WIDTH = 8


def tiny_graph(target: str, *, seed: int = 0, batch_norm: bool = True) -> onnx.ModelProto:
    """The operators of the real networks: normalisation, skip, transposed convolution, residual, softplus, clamp."""
    rng = np.random.default_rng(seed)
    weights, nodes = [], []

    def weight(name, *shape, scale=None):
        values = rng.normal(0, scale or (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
        weights.append(numpy_helper.from_array(values, name))
        return name

    def constant(name, value):
        weights.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def add(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=f"node_{output}", **attributes))
        return output

    two, one, half = constant("two", 2), constant("one", 1), constant("half", 0.5)
    x = add("Sub", [add("Mul", ["image", two], "doubled"), one], "x")
    add("Conv", [x, weight("w0", WIDTH, 3, 3, 3)], "c0", pads=[1, 1, 1, 1], strides=[2, 2], kernel_shape=[3, 3])
    features = "c0"
    if batch_norm:
        for name, values in {
            "bn_scale": rng.uniform(0.5, 1.5, WIDTH), "bn_bias": rng.normal(0, 0.1, WIDTH),
            "bn_mean": rng.normal(0, 0.1, WIDTH), "bn_var": np.linspace(0.02, 0.5, WIDTH),
        }.items():  # fmt: skip
            weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        features = add("BatchNormalization", ["c0", "bn_scale", "bn_bias", "bn_mean", "bn_var"], "bn", epsilon=1e-5)
    skip = add("Relu", [features], "r0")
    add("Conv", [skip, weight("w1", WIDTH, WIDTH, 3, 3)], "c1", pads=[1, 1, 1, 1], strides=[2, 2], kernel_shape=[3, 3])
    add("Relu", ["c1"], "r1")
    add("Conv", ["r1", weight("w2", WIDTH, WIDTH, 3, 3)], "c2", pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    add("ConvTranspose", ["c2", weight("w3", WIDTH, WIDTH, 4, 4)], "up", pads=[1, 1, 1, 1], strides=[2, 2],
        kernel_shape=[4, 4])  # fmt: skip
    joined = add("Concat", ["up", skip], "joined", axis=1)
    outputs = []

    def head(name, channels):
        weights_name = weight(f"w_{name}", 2 * WIDTH, channels, 4, 4, scale=0.05)
        return add("ConvTranspose", [joined, weights_name], f"raw_{name}", pads=[1, 1, 1, 1], strides=[2, 2],
                   kernel_shape=[4, 4])  # fmt: skip

    if target == "depth":
        add("Add", [add("Relu", [head("upper", 1)], "positive"), one], "depth")
        outputs.append(("depth", 1))
    else:
        four, low, high = constant("four", 4), constant("low", -8), constant("high", 8)
        add("Mul", [add("Softplus", [head("upper", 1)], "softened"), four], "coc")
        add("Clip", [head("log_var", 1), low, high], "coc_log_var")
        outputs += [("coc", 1), ("coc_log_var", 1)]
    shifted = add("Add", [add("Add", [x, head("lower", 3)], "residual"), one], "shifted")
    zero = constant("zero", 0)
    add("Clip", [add("Mul", [shifted, half], "scaled"), zero, one], "deblurred")
    outputs.append(("deblurred", 3))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, "height", "width"]) for n, c in outputs],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def write_model(folder: Path, target: str, *, seed: int = 0) -> ModelFolder:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(tiny_graph(target, seed=seed).SerializeToString())
    (folder / "weights.safetensors").write_bytes(b"not read here")
    lens = Lens(focal_length_mm=12, f_number=2, focus_distance_m=0.5, pixel_pitch_um=5)
    card = ModelCard(
        variant="2hded-small",
        target=target,
        trained=TrainedRange(input_size=(64, 96)),
        weights=FileHash(file="weights.safetensors", sha256=sha256_of(folder / "weights.safetensors")),
        onnx=FileHash(file="model.onnx", sha256=sha256_of(folder / "model.onnx")),
        lens=lens if target == "depth" else None,
    )
    write_yaml(folder / "model.yaml", card_as_mapping(card))
    return ModelFolder(folder, card)
