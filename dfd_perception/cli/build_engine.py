# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Build TensorRT engines of a model for the GPU of this machine, check them, and put them where the node finds them.

A build takes seconds on a desktop and minutes on a Jetson. Without it the node builds at its first start, while
another backend answers. Exit code 0: the engine of the asked precision passed its check, or a safer one did
(then this says so). Exit code 1: none did.

Examples:
  dfd build-engine 2hded-small --precision fp16 --size 480x640
  dfd build-engine 2hded-small --precision int8 --size 480x640 --calibration my_session
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfd_perception.core.size import Size, size_from_text
from dfd_perception.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from dfd_perception.files.model_folder import ModelFolder
    from dfd_perception.inference.backends.tensorrt_backend import TensorRtBackend

CALIBRATION_IMAGES = 64
TIMED_RUNS = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd build-engine`."""
    parser.add_argument("model", metavar="MODEL", help="name or folder of the model")
    parser.add_argument("--precision", choices=("fp32", "fp16", "int8"), default="fp16", help="default: fp16")
    parser.add_argument("--size", type=parse_size, default="480x640", metavar="HxW",
                        help="height x width of the images [px] (default: 480x640)")  # fmt: skip
    parser.add_argument("--heads", nargs="+", choices=("both", "depth", "deblurred"), default=["both"],
                        help="one engine each (default: both)")  # fmt: skip
    parser.add_argument("--calibration", type=Path, metavar="DIR", help="int8: a session, dataset or folder of images")
    parser.add_argument("--transposed", action="store_true", help="int8: quantise transposed convolutions too")
    parser.add_argument("--workspace-mb", type=int, default=1024, metavar="MIB",
                        help="scratch memory for the engine [MiB] (default: 1024)")  # fmt: skip
    parser.add_argument("--optimization-level", type=int, choices=range(6), default=3,
                        help="0 quick to 5 slow (default: 3)")  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cuda or cuda:N (default: auto)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="folder of the engines (default: the user's cache)")
    parser.add_argument("--force", action="store_true", help="build even if the engine is there")
    parser.add_argument("--background", action="store_true", help="run at low priority")
    parser.add_argument("--json", action="store_true", help="print progress and result as JSON, one object a line")


def parse_size(text: str) -> Size:
    """Height and width from "480x640", each rounded up to a multiple of 32, which the network pads to."""
    try:
        height, width = size_from_text(text, "the size")
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return height + -height % 32, width + -width % 32


def run(args: argparse.Namespace) -> int:
    """Build, check, time, report."""
    from dfd_perception.files.model_folder import load_model_folder
    from dfd_perception.inference.backends.interface import BackendRequest
    from dfd_perception.inference.backends.tensorrt_backend import TensorRtBackend
    from dfd_perception.inference.tensorrt.engine_builder import BuildSettings

    if args.background:
        os.nice(10)
    model = load_model_folder(args.model)
    tell = json_progress if args.json else person_progress
    if args.calibration is not None:
        calibrate(args, model, tell)
    settings = BuildSettings(workspace_mb=args.workspace_mb, optimization_level=args.optimization_level)
    for heads in args.heads:
        request = BackendRequest(
            model=model,
            heads=heads,
            size=args.size,
            precision=args.precision,
            device=args.device,
            engine_cache_dir=args.cache,
        )
        started = time.monotonic()
        backend = TensorRtBackend(
            request,
            settings=settings,
            on_progress=lambda progress: tell(progress.stage, progress.fraction),
            rebuild=args.force,
        )
        seconds = time.monotonic() - started
        facts = {"heads": heads, "precision": backend.precision, "device": backend.device, "seconds": round(seconds, 1)}
        report({**facts, **timed(backend, args.size), **backend.details}, args.json)
        backend.close()
    return 0


def calibrate(args: argparse.Namespace, model: ModelFolder, tell: Callable[[str, float | None], None]) -> None:
    """Write the model's graph with int8 quantisers from images."""
    from dfd_perception.files.images import read_image
    from dfd_perception.files.model_folder import sha256_of
    from dfd_perception.inference.tensorrt.engine_cache import EngineCache
    from dfd_perception.inference.tensorrt.quantised_graph import calibration_path, write_calibrated_graph
    from dfd_perception.inference.tensorrt.self_check import as_network_input
    from dfd_perception.inference.tensorrt.trusted_files import make_private_folder

    if args.precision != "int8":
        raise UsageError(f"--calibration is for int8, and --precision is {args.precision}")
    files = calibration_files(args.calibration)
    images = []
    for number, file in enumerate(files):
        tell("reading images", number / len(files))
        images.append(as_network_input(read_image(file), args.size))
    folder = EngineCache(args.cache).folder
    out = calibration_path(folder, sha256_of(model.onnx_path))
    make_private_folder(folder)
    make_private_folder(out.parent)
    tell("calibrating on the CPU", None)
    write_calibrated_graph(model.onnx_path, out, images, transposed=args.transposed)


def calibration_files(folder: Path) -> list[Path]:
    """Up to 64 images of a session, dataset or plain folder, evenly spread over it."""
    from dfd_perception.files.images import IMAGE_SUFFIXES, images_in

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; expected a session, a dataset or a folder of images")
    source = folder / "defocused" if (folder / "defocused").is_dir() else folder
    files = images_in(source)
    if not files:
        raise UsageError(f"{source}: no images ({', '.join(IMAGE_SUFFIXES[:3])}, ...) in it")
    step = max(1, len(files) // CALIBRATION_IMAGES)
    return files[::step][:CALIBRATION_IMAGES]


def timed(backend: TensorRtBackend, size: Size) -> dict[str, Any]:
    """Latency of a run [ms], copies to and from the GPU included."""
    import numpy as np

    image = np.full((1, 3, *size), 0.5, np.float32)
    times = []
    for _ in range(TIMED_RUNS):
        started = time.perf_counter()
        backend.run(image)
        times.append(1e3 * (time.perf_counter() - started))
    p50, p95 = np.percentile(times[5:], (50, 95))
    return {"latency_ms_p50": round(float(p50), 2), "latency_ms_p95": round(float(p95), 2)}


def json_progress(stage: str, fraction: float | None) -> None:
    """For a program."""
    print(json.dumps({"progress": {"stage": stage, "fraction": fraction}}), flush=True)


def person_progress(stage: str, fraction: float | None) -> None:
    """For a person: one line that is written over."""
    share = f" {100 * fraction:3.0f} %" if fraction is not None else ""
    end = "\r" if sys.stderr.isatty() else "\n"
    if fraction is None or sys.stderr.isatty():
        print(f"{stage}{share}".ljust(70), end=end, file=sys.stderr, flush=True)


def report(result: dict[str, Any], as_json: bool) -> None:
    """Print the result."""
    if as_json:
        print(json.dumps({"engine": result}), flush=True)
        return
    for name, value in result.items():
        print(f"{name.replace('_', ' '):<16} {value}")
