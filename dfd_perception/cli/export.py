# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Write a model as one ONNX file, for another runtime or to fill a model folder that has none. Needs torch."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dfd_perception.core.prediction import Heads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd export`."""
    parser.add_argument("model", metavar="MODEL", help="model folder by name or path")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.onnx", help="file to write")
    parser.add_argument("--heads", choices=("both", "depth", "deblurred"), help="default: those that were trained")
    parser.add_argument("--size", metavar="HxW", help="fixed input size, multiples of 32 (default: any size)")
    parser.add_argument("--half", action="store_true", help="compute in float16 inside; input and outputs stay float32")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(args: argparse.Namespace) -> int:
    """Export the model."""
    from dfd_perception.core.size import size_from_text
    from dfd_perception.errors import UsageError
    from dfd_perception.files.model_folder import load_model_folder, sha256_of
    from dfd_perception.network.checkpoint import load_network
    from dfd_perception.network.onnx_export import card_metadata, export_onnx

    if args.out.suffix != ".onnx":
        raise UsageError(f"--out is {args.out}; expected a name that ends in .onnx")
    # The graph may be what is missing or broken in the folder: only the weights are read.
    model = load_model_folder(args.model, verify=False)
    heads: Heads = args.heads or model.card.all_heads
    model.require_trained(heads)
    metadata = card_metadata(model.card)
    size = None if args.size is None else size_from_text(args.size, "--size")
    names = export_onnx(load_network(model), args.out, heads=heads, size=size, half=args.half, metadata=metadata)
    result = {"file": str(args.out), "sha256": sha256_of(args.out), "input": "image", "outputs": names}
    if args.json:
        print(json.dumps(result))
    else:
        print(f"{args.out}: input image, outputs {', '.join(names)}, sha256 {result['sha256']}")
    return 0
