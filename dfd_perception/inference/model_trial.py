# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Does the graph of a model folder say what its weights say? Tried once on a small image, before anything relies on it.

`model.onnx` is a file of its own beside the weights: it can be of another training, lack an output, or say nothing. The
card holds what the weights answered to the probe image when the graph was written; the graph is asked the same here.
Where a card does not say it, the weights are asked (that takes torch).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.prediction import OUTPUT_NAMES
from dfd_perception.core.probe import PROBE_SIZE, probe_image, summary_of
from dfd_perception.errors import BackendError, ModelError
from dfd_perception.files.model_folder import MODEL_FILE, ModelFolder
from dfd_perception.inference.backends.interface import BackendRequest
from dfd_perception.inference.backends.table import BACKENDS
from dfd_perception.inference.ladder import compile_backend, ladder, obstacle

_log = logging.getLogger(__name__)

TOLERANCE = 3e-4
"""Of each mean, or of 1 where it is smaller: runtimes differ by a thirtieth of it, trainings by far more."""

BLACK = 0.02
"""A deblurred probe whose brightest value is below this shows nothing (the probe's mean is 0.5)."""


def require_graph_of_weights(model: ModelFolder, cache: Path | None = None) -> None:
    """Try the model's ONNX graph, once for each content: a success is remembered in the user's cache.

    Nothing is tried without a graph, or where neither OpenVINO nor ONNX Runtime takes it: the ladder says why then. A
    graph that cannot be compared with the weights, for want of a probe in the card and of torch, is warned of at each
    load.

    Raises:
        ModelError: it lacks outputs, says nothing, or says something else than the weights of this folder.
    """
    if model.card.onnx is None:
        return
    remembered = (cache or cache_folder()) / _identity(model)
    if remembered.exists():
        return
    _require_same_weights(model)
    outputs = _answers(model)
    if outputs is None:
        return
    _require_sense(model, outputs)
    expected = _expected(model, set(outputs))
    _require_agreement(model, outputs, expected)
    if not expected.keys() >= outputs.keys():
        return
    with contextlib.suppress(OSError):  # a read-only home costs a try at every start, no more
        remembered.parent.mkdir(parents=True, exist_ok=True)
        remembered.touch()


def cache_folder() -> Path:
    """Where successful trials are remembered: empty files named by what was tried."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "dfd_perception/tried_models"


def _identity(model: ModelFolder) -> str:
    assert model.card.onnx is not None
    card = model.card
    parts = [1, card.weights.sha256, model.card.onnx.sha256, card.heads, card.target, card.probe]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _require_same_weights(model: ModelFolder) -> None:
    """The exporter writes into a graph which weights it is of."""
    content = model.onnx_path.read_bytes()
    if b"weights_sha256" in content and model.card.weights.sha256.encode() not in content:
        raise ModelError(
            f"{model.onnx_path}: is the graph of other weights than {model.card.weights.file} beside it; "
            f"write it anew: dfd export {model.path} --out {model.onnx_path}"
        )


def _answers(model: ModelFolder) -> dict[str, NDArray[np.float32]] | None:
    """What the graph says of the probe image, by the first runtime here that takes it."""
    for name, _ in ladder("cpu"):
        if not BACKENDS[name].reads_graph or obstacle(name, model):
            continue
        with contextlib.suppress(BackendError):
            return _answers_of(model, name, num_threads=1)
    return None


def _answers_of(model: ModelFolder, backend: str, num_threads: int) -> dict[str, NDArray[np.float32]]:
    heads = model.card.all_heads
    request = BackendRequest(model=model, heads=heads, size=PROBE_SIZE, device="cpu", num_threads=num_threads)
    runtime = compile_backend(request, backend).backend
    try:
        answer = runtime.run(probe_image())
        return {key: np.array(answer[key]) for key in OUTPUT_NAMES[model.card.target, heads]}
    finally:
        runtime.close()


def _expected(model: ModelFolder, outputs: set[str]) -> dict[str, list[float]]:
    """What the weights say of the probe image: as the card has it, or else by torch; less where neither tells."""
    probe = model.card.probe
    if probe.keys() >= outputs:
        return probe
    try:
        # Not one thread: torch would keep to that in all of the process.
        return summary_of(_answers_of(model, "torch", num_threads=0))
    except (BackendError, ModelError) as error:  # a model of an older release runs on by its graph
        _log.warning(
            "%s: cannot be compared with the weights beside it: %s has no answer to the probe image (probe), and %s. "
            "Where torch is installed, write both: dfd export %s --out %s",
            model.onnx_path, MODEL_FILE, error, model.path, model.onnx_path,
        )  # fmt: skip
        return probe


def _require_sense(model: ModelFolder, outputs: dict[str, NDArray[np.float32]]) -> None:
    for name, answer in outputs.items():
        if not np.isfinite(answer).all():
            raise ModelError(f"{model.onnx_path}: output {name} is not finite on a plain image; the graph is broken")
    deblurred = outputs.get("deblurred")
    if deblurred is not None and float(deblurred.max()) < BLACK:
        raise ModelError(f"{model.onnx_path}: its deblurred image is black on a plain image; the graph is broken")
    for name in ("coc", "depth"):
        if name in outputs and not (outputs[name] > 0).any():
            raise ModelError(f"{model.onnx_path}: output {name} is 0 everywhere on a plain image; the graph is broken")


def _require_agreement(
    model: ModelFolder, outputs: dict[str, NDArray[np.float32]], expected: dict[str, list[float]]
) -> None:
    summary = summary_of(outputs)
    for name in summary.keys() & expected.keys():
        wanted, actual = np.array(expected[name]), np.array(summary[name])
        bound = TOLERANCE * np.maximum(1.0, np.abs(wanted))
        if wanted.shape != actual.shape or (np.abs(wanted - actual) > bound).any():
            raise ModelError(
                f"{model.onnx_path}: does not answer as the weights beside it do ({name} of the probe image: "
                f"{_short(actual)}, the weights say {_short(wanted)}); write it anew: "
                f"dfd export {model.path} --out {model.onnx_path}"
            )


def _short(values: Any) -> str:
    return " ".join(f"{value:.3g}" for value in values)
