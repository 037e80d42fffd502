# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from support import tensorrt_stand_in, tiny_graphs


@pytest.fixture(scope="session")
def stand_in():
    return tensorrt_stand_in


@pytest.fixture(scope="session")
def graphs():
    return tiny_graphs


@pytest.fixture(params=["8.6.2.3", "10.3.0.30", "11.4.0.106"])
def version(request) -> str:
    return request.param


@pytest.fixture
def trt(stand_in, version):
    return stand_in.make_tensorrt(version)


@pytest.fixture(params=["coc", "depth"])
def target(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def tiny_models(graphs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {target: graphs.write_model(folder / f"tiny_{target}", target) for target in ("coc", "depth")}


@pytest.fixture
def robot(stand_in, monkeypatch, tmp_path, trt):
    """A robot with a GPU and one of the TensorRTs; returns what a test turns."""
    from dfd_perception.inference.backends import tensorrt_backend as backend
    from dfd_perception.inference.tensorrt import engine_provider

    state = stand_in.SimpleNamespace(
        trt=trt, cache=tmp_path / "engines", behaviour=trt.behaviour, memories=[], gpu=("NVIDIA Orin", "8.7")
    )

    def open_device(device="auto"):
        state.memories.append(stand_in.HostMemory(*state.gpu))
        return state.memories[-1]

    monkeypatch.setattr(backend, "import_tensorrt", lambda: state.trt)
    monkeypatch.setattr(engine_provider, "open_device", open_device)
    return state


@pytest.fixture
def image() -> np.ndarray:
    """(1, 3, 64, 96): a real frame of the package."""
    from dfd_perception.inference.tensorrt.self_check import stored_frames

    return stored_frames((64, 96))[0]
