# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dfd_perception.errors import BackendError, ModelError
from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.inference import ladder as backends
from dfd_perception.inference.backends import table
from dfd_perception.inference.backends.interface import BackendRequest
from dfd_perception.inference.ladder import compile_backend, ladder, obstacle

ASSETS = Path(__file__).resolve().parent.parent / "assets"


class Answering:
    """A backend that runs."""

    name, precision, device, details = "answering", "fp32", "CPU", {}

    def __init__(self, request):
        self.request = request

    def run(self, image_1x3HxW, blur_log_prior=None):
        return {name: np.zeros((1, 1, *image_1x3HxW.shape[2:]), np.float32) for name in self.request.output_names}

    def close(self):
        pass


def refusing(reason: str):
    def build(request):
        raise BackendError(reason)

    return build


@pytest.fixture
def request_for_tiny() -> BackendRequest:
    return BackendRequest(model=load_model_folder(ASSETS / "tiny_coc"), size=(32, 64), device="cpu", num_threads=1)


def test_on_x86_openvino_comes_first_and_torch_last(monkeypatch):
    monkeypatch.setattr(table.platform, "machine", lambda: "x86_64")
    assert [name for name, _ in ladder("cpu")] == ["openvino", "onnxruntime", "torch"]
    monkeypatch.setattr(table.platform, "machine", lambda: "aarch64")
    assert [name for name, _ in ladder("cpu")] == ["onnxruntime", "openvino", "torch"]


def test_a_gpu_asked_for_puts_tensorrt_first():
    assert [name for name, _ in ladder("cuda")][:2] == ["tensorrt", "torch"]
    assert ladder("auto")[0][0] == "tensorrt"


def test_auto_takes_the_first_that_works_and_says_why_not_the_others(monkeypatch, request_for_tiny):
    monkeypatch.setattr(table.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(backends, "missing_package", lambda name: "not installed" if name == "openvino" else None)
    builders = {"onnxruntime": refusing("no such operator"), "torch": Answering}
    monkeypatch.setattr(backends, "backend_class", builders.__getitem__)
    chosen = compile_backend(request_for_tiny)
    assert isinstance(chosen.backend, Answering)
    assert chosen.passed_over == {"openvino": "not installed", "onnxruntime": "no such operator"}


def test_a_backend_asked_for_is_never_replaced(monkeypatch, request_for_tiny):
    with pytest.raises(BackendError, match="expected auto, tensorrt, openvino, onnxruntime, torch"):
        compile_backend(request_for_tiny, "onnx")
    monkeypatch.setattr(backends, "backend_class", {"openvino": refusing("it broke"), "torch": Answering}.__getitem__)
    with pytest.raises(BackendError, match="it broke"):
        compile_backend(request_for_tiny, "openvino")


def test_when_none_works_every_reason_is_said(monkeypatch, request_for_tiny):
    monkeypatch.setattr(backends, "missing_package", lambda name: f"{name} is absent")
    with pytest.raises(BackendError, match=r"torch is absent.*pip install"):
        compile_backend(request_for_tiny)


def test_one_head_alone_says_what_it_says_with_the_other(request_for_tiny):
    pytest.importorskip("onnxruntime")
    from dataclasses import replace

    image = np.random.default_rng(0).random((1, 3, 32, 64), np.float32)
    both = compile_backend(request_for_tiny, "onnxruntime").backend.run(image)
    assert set(both) == {"coc", "coc_log_var", "deblurred"}
    for heads, names in (("depth", {"coc", "coc_log_var"}), ("deblurred", {"deblurred"})):
        alone = compile_backend(replace(request_for_tiny, heads=heads), "onnxruntime").backend.run(image)
        assert set(alone) == names
        for name in names:
            np.testing.assert_allclose(alone[name], both[name], atol=1e-6)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "torch"])
def test_a_precision_that_is_not_offered_is_refused(request_for_tiny, name):
    pytest.importorskip(name)
    from dataclasses import replace

    with pytest.raises(BackendError, match="precision int8 is not offered"):
        compile_backend(replace(request_for_tiny, precision="int8"), name)


def test_a_cuda_device_without_one_is_refused(request_for_tiny):
    torch = pytest.importorskip("torch")
    from dataclasses import replace

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA GPU")
    with pytest.raises(BackendError, match="sees no CUDA GPU"):
        compile_backend(replace(request_for_tiny, device="cuda"), "torch")


def test_a_model_without_a_graph_says_how_to_write_one(request_for_tiny):
    pytest.importorskip("onnxruntime")
    from dataclasses import replace

    bare = replace(request_for_tiny.model, card=replace(request_for_tiny.model.card, onnx=None))
    with pytest.raises(ModelError, match="dfd export"):
        compile_backend(replace(request_for_tiny, model=bare), "onnxruntime")


def test_what_is_in_the_way_of_a_backend_is_known_before_it_is_imported(monkeypatch, request_for_tiny):
    from dataclasses import replace

    model = request_for_tiny.model
    bare = replace(model, card=replace(model.card, onnx=None))
    monkeypatch.setattr(backends, "missing_package", lambda name: None)
    assert [obstacle(name, model) for name in table.BACKENDS] == [None] * len(table.BACKENDS)
    assert "dfd export" in obstacle("onnxruntime", bare)
    assert obstacle("torch", bare) is None
    monkeypatch.setattr(backends, "missing_package", lambda name: f"{name} is absent")
    assert obstacle("torch", bare) == "torch is absent"


def test_the_runtime_is_imported_before_anybody_waits_for_it(request_for_tiny):
    """In a process of its own: here it has been imported already."""
    script = (
        "import sys; from dataclasses import replace; from pathlib import Path;"
        "from dfd_perception.files.model_folder import load_model_folder;"
        "from dfd_perception.inference.ladder import import_runtime; before = 'onnxruntime' in sys.modules;"
        "model = load_model_folder(Path(sys.argv[1])); bare = replace(model, card=replace(model.card, onnx=None));"
        "print(before, import_runtime(model, 'onnxruntime'), 'onnxruntime' in sys.modules,"
        "import_runtime(model, 'nonsense'), import_runtime(bare, 'onnxruntime'))"
    )
    command = [sys.executable, "-c", script, str(request_for_tiny.model.path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "onnxruntime", "True", "None", "None"]
