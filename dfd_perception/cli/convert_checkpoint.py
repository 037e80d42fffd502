# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Turn an authors' checkpoint of 2HDED:NET (NNNN.pth.tar) into a model folder.

The checkpoint says nothing of its lens or of the unit of its depth: give both. Published files hold pickled objects,
which can run code when they are read; --trust-pickle says that you trust where the file comes from.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dfd_perception.errors import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    parser.add_argument("checkpoint", metavar="FILE", type=Path, help="checkpoint, or its bare state dict")
    parser.add_argument("--out", metavar="MODEL", type=Path, required=True, help="model folder to write")
    parser.add_argument("--lens", metavar="LENS.yaml", type=Path, required=True, help="lens that it was trained for")
    parser.add_argument("--fx", metavar="PX", type=float, help="focal length of its images [px], instead of a pitch")
    parser.add_argument("--trust-pickle", action="store_true", help="unpickle objects: this can run code of the file")
    parser.add_argument(
        "--metres-per-unit",
        metavar="M",
        type=float,
        default=1.0,
        help="what one unit of its depth is (the authors' loader trained on 8-bit codes); default 1",
    )
    parser.add_argument(
        "--depth-range", metavar=("MIN", "MAX"), type=float, nargs=2, help="depth that it was trained on [m]"
    )
    parser.add_argument("--input-size", metavar=("H", "W"), type=int, nargs=2, default=(256, 256),
                        help="training size [px] (default: 256 256)")  # fmt: skip
    parser.add_argument("--tanh", action="store_true", help="it ends its image with a tanh, as older releases do")
    parser.add_argument("--no-onnx", action="store_true", help="leave out model.onnx (only the torch backend runs it)")


def run(args: argparse.Namespace) -> int:
    """Convert; returns the exit code."""
    from dfd_perception.errors import LensError, ModelError
    from dfd_perception.files.lens_file import read_lens
    from dfd_perception.files.model_folder import MODEL_FILE, FileHash, ModelCard, TrainedRange, sha256_of
    from dfd_perception.network import create_network
    from dfd_perception.network.checkpoint import save_model
    from dfd_perception.network.pretrained import published_weights, read_torch_file, scale_depth

    if not args.metres_per_unit > 0:
        raise ModelError(f"--metres-per-unit is {args.metres_per_unit}; it must be positive")
    if (args.out / MODEL_FILE).exists():
        raise ModelError(f"{args.out}: holds a model already; name another folder")
    resolved = read_lens(args.lens).resolved(args.fx)
    for note in resolved.notes:
        print(f"note: {note}", file=sys.stderr)
    if resolved.lens is None:
        raise LensError(f"{args.lens}: no focal_length_mm; the card of a model with target depth needs it")
    try:
        published = published_weights(read_torch_file(args.checkpoint, args.trust_pickle))
    except ModelError as error:
        if str(error).startswith(str(args.checkpoint)):
            raise
        raise ModelError(f"{args.checkpoint}: {error}") from error
    scale_depth(published.weights, args.metres_per_unit)
    options = {"skips": published.skips, "tanh": args.tanh}
    network = create_network("2hded", "depth", **options)
    try:
        network.load_state_dict({"log_var_offset": network.log_var_offset, **published.weights}, strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise ModelError(f"{args.checkpoint}: not 2HDED:NET as published ({first})") from error
    card = ModelCard(
        variant="2hded",
        target="depth",
        options=options,
        lens=resolved.lens,
        trained=TrainedRange(
            input_size=tuple(args.input_size), depth_m=tuple(args.depth_range) if args.depth_range else None
        ),
        weights=FileHash(file="", sha256=""),
        training={"converted_from": args.checkpoint.name, "sha256": sha256_of(args.checkpoint)},
    )
    save_model(network.eval(), args.out, card, with_onnx=not args.no_onnx)
    if published.left_out:
        print(
            f"left out {counted(len(published.left_out), 'tensor')} that 2HDED:NET of the thesis has no place for "
            f"({published.left_out[0]}, ...): a network trained with them answers differently; fine-tune it",
            file=sys.stderr,
        )
    print(f"{args.out}: {counted(len(published.weights), 'tensor')}, skips {'on' if published.skips else 'off'}")
    return 0
