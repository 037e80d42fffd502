"""The ONNX graph of a model, cut to the heads that are asked for. What changes its precision is in `tensorrt/`."""

from __future__ import annotations

from pathlib import Path

from dfd_perception.errors import BackendError
from dfd_perception.inference.backends.interface import BackendRequest


def pruned_graph(request: BackendRequest, path: Path | None = None) -> bytes:
    """Serialised graph from `image` to the outputs of the asked heads; the other head's nodes are gone.

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
    return bytes(Extractor(graph).extract_model(["image"], list(request.output_names)).SerializeToString())
