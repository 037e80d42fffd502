# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The networks by an own forward in numpy: the graph that ships, its weights in torch, and the thesis' network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from support.numpy_network import BlurMeter, ThesisNetwork

SHIPPED = Path(__file__).parents[2] / "models/2hded-small"


@pytest.fixture(scope="module")
def meter() -> BlurMeter:
    return BlurMeter(load_file(SHIPPED / "weights.safetensors"))


def image_of(height: int, width: int) -> np.ndarray:
    """A checkerboard, sharp on the left and soft on the right, with a little noise; (3, H, W) in [0, 1]."""
    y, x = np.mgrid[:height, :width]
    board = ((x // 9 + y // 7) % 2).astype(np.float32)
    soft = np.where(x < width / 2, board, cv2.GaussianBlur(board, (0, 0), 4))
    noise = np.random.default_rng(height).random((3, height, width), np.float32)
    return (0.9 * soft + 0.1 * noise).astype(np.float32)


def prior_of(bins: int) -> np.ndarray:
    """As a lens says it: small blur is as likely as any, large blur is not."""
    return -np.maximum(np.linspace(-6, 6, bins), 0).astype(np.float32)[None, :, None, None]


@pytest.mark.parametrize("size", [(64, 96), (96, 32)])
def test_the_graph_that_ships_is_this_network(meter, size):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(SHIPPED / "model.onnx"), providers=["CPUExecutionProvider"])
    image, prior = image_of(*size), prior_of(28)
    names = [output.name for output in session.get_outputs()]
    said = dict(zip(names, session.run(None, {"image": image[None], "blur_log_prior": prior}), strict=True))
    expected = meter(image, prior[0])
    assert set(names) == set(expected)
    for name, answer in expected.items():
        np.testing.assert_allclose(said[name][0], answer, rtol=2e-4, atol=2e-4, err_msg=name)
    assert expected["coc"].std() > 0.3  # an image on which the answer is not one number
    assert np.abs(meter(image)["coc"] - expected["coc"]).max() > 0.1  # and the prior says something


def test_the_card_holds_the_answer_to_its_probe(meter):
    """The probe by the card's own words: six means of a fixed image, by which a foreign graph is found out."""
    from dfd_perception.core.probe import probe_image, summary_of

    card = yaml.safe_load((SHIPPED / "model.yaml").read_text())
    found = summary_of({name: answer[None] for name, answer in meter(probe_image()[0]).items()})
    assert set(card["probe"]) == set(found)
    for name, values in card["probe"].items():
        np.testing.assert_allclose(found[name], values, rtol=1e-3, atol=1e-3)


@pytest.mark.torch
@pytest.mark.parametrize("size", [(70, 41), (33, 31)])
def test_torch_runs_the_shipped_weights_alike_at_any_size(meter, size):
    import torch

    from dfd_perception.files.model_folder import load_model_folder
    from dfd_perception.network.checkpoint import load_network

    network = load_network(load_model_folder(str(SHIPPED))).eval()
    image, prior = image_of(*size), prior_of(28)
    with torch.inference_mode():
        said = network(torch.from_numpy(image[None]), blur_log_prior=torch.from_numpy(prior))
    expected = meter(image, prior[0])
    for name, answer in (("coc", said.coc_px), ("coc_log_var", said.coc_log_var), ("deblurred", said.deblurred)):
        np.testing.assert_allclose(answer[0].numpy(), expected[name], rtol=2e-4, atol=2e-4, err_msg=name)


@pytest.mark.torch
def test_the_thesis_network_is_that_of_the_thesis():
    import torch

    from dfd_perception.network import create_network

    torch.manual_seed(0)
    network = create_network("2hded", "depth").eval()
    generator = torch.Generator().manual_seed(1)
    scales = ("running_var", *(f"{norm}.weight" for norm in ("bn1", "bn2", "norm", "norm0", "norm1", "norm2", "norm5")))
    with torch.no_grad():  # weights as training leaves them: no normalisation is the identity, no head nearly zero
        for name, tensor in network.state_dict().items():
            if name.endswith(scales):
                tensor.uniform_(0.7, 1.3, generator=generator)
            elif name.endswith(("running_mean", ".bias")):
                tensor.uniform_(-0.1, 0.1, generator=generator)
            elif name.endswith("last_conv.weight"):
                tensor.normal_(0, 0.02, generator=generator)
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    counted = {name: t for name, t in tensors.items() if name in dict(network.named_parameters())}
    assert sum(t.size for t in counted.values()) == 41_414_400
    image = image_of(33, 61)
    with torch.inference_mode():
        said = network(torch.from_numpy(image[None]))
    expected = ThesisNetwork(tensors)(image)
    for name, answer in (("depth", said.depth_m), ("deblurred", said.deblurred)):
        scale = float(np.abs(expected[name]).max())
        np.testing.assert_allclose(answer[0].numpy(), expected[name], atol=2e-4 * scale, err_msg=name)
        assert expected[name].std() > 0.01 * scale
