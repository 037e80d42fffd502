# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Measure rate and latency of the node on this machine, end to end, and of the network alone.

Parts: node (camera process -> node -> listener process, beside a bare echo node), start (from the start of the process
to the first answer, beside the echo node), heads (depth head alone against both), thesis (2hded against plain torch;
needs torch). Run it on a machine that does nothing else.

dfd benchmark --model 2hded-small --seconds 20 --out benchmark.json
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

PARTS = ("node", "start", "heads", "thesis")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd benchmark`."""
    from dfd_perception.inference.backends.table import backend_choice, precision_choice

    parser.add_argument("--model", default="2hded-small", metavar="M",
                        help="model by name or path (default: 2hded-small)")  # fmt: skip
    parser.add_argument("--backend", **backend_choice())
    parser.add_argument("--precision", **precision_choice())
    parser.add_argument("--threads", type=int, default=0, metavar="N",
                        help="CPU threads of the network (default: 0, all)")  # fmt: skip
    parser.add_argument("--size", nargs="+", default=["480x640", "720x1280"], metavar="HxW",
                        help="of the images [px] (default: 480x640 720x1280)")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="length of each run [s] (default: 10)")
    parser.add_argument("--rate", type=float, default=60.0, metavar="HZ",
                        help="of the throughput run, in frames a second (default: 60)")  # fmt: skip
    parser.add_argument("--runs", type=int, default=30, metavar="N",
                        help="timed runs of the network alone (default: 30)")  # fmt: skip
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["node", "heads"], help="default: node heads")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="also write the figures here")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from dfd_perception import __version__, environment
    from dfd_perception.core.size import size_from_text
    from dfd_perception.files.model_folder import load_model_folder

    sizes = [size_from_text(text, "--size") for text in args.size]
    model = load_model_folder(args.model)
    result: dict[str, Any] = {
        "version": __version__,
        "machine": {"cpu": environment.cpu_name(), "gpu": environment.find_gpus()},
        "model": {"name": model.name, "variant": model.card.variant, "weights_sha256": model.card.weights.sha256},
        "precision": args.precision,
    }
    if {"node", "start"} & set(args.parts):
        importlib.import_module("rclpy")  # what is missing is said here, and not by a process that dies of it
        from dfd_perception.benchmark.processes import BenchmarkOptions

        environment.use_own_ros_domain()
        options = BenchmarkOptions(
            model=str(model.path),
            backend=args.backend,
            precision=args.precision,
            num_threads=args.threads,
            sizes=sizes,
            rate_hz=args.rate,
            duration_s=args.seconds,
        )
        if "start" in args.parts:
            from dfd_perception.benchmark.node_benchmark import measure_start

            result["start"] = [measure_start(options, size) for size in sizes]
        if "node" in args.parts:
            from dfd_perception.benchmark.node_benchmark import measure_node

            result["node"] = measure_node(options)
    if "heads" in args.parts:
        from dfd_perception.benchmark.timing import compare_heads
        from dfd_perception.inference.estimator import EstimatorOptions

        wanted = EstimatorOptions(backend=args.backend, precision=args.precision, num_threads=args.threads)
        result["heads"] = [compare_heads(model, wanted, size, args.runs) for size in sizes]
    if "thesis" in args.parts:
        from dfd_perception.benchmark.torch_comparison import compare_with_torch

        result["thesis"] = compare_with_torch(args.backend, sizes[0], args.runs)
    if args.out:
        args.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2) if args.json else table(result))
    return 0


def table(result: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [f"{result['model']['name']} {result['precision']} on {result['machine']['cpu']}", ""]
    if "node" in result:
        lines += [
            "| image | frames/s | dropped | latency p50 / p95 | inference p50 | overhead / echo | CPU cores | memory |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        lines += [_row(record) for record in result["node"]]
    for record in result.get("start", []):
        lines.append(
            f"\n{record['size']}: first answer {record['node_s']} s after the start of the process; the echo node's "
            f"{record['echo_s']} s ({record['over_echo']} x)"
        )
    for record in result.get("heads", []):
        both, depth, ratio = record["both_ms"], record["depth_ms"], record["ratio"]
        lines.append(f"\n{record['size']}, {record['backend']}: both heads {both} ms, depth alone {depth} ms ({ratio})")
    if "thesis" in result:
        t = result["thesis"]
        worst = max(t["largest_difference_of_range"].values())
        lines.append(
            f"\n2hded {t['size']}: {t['backend']} {t['backend_ms']} ms, torch {t['torch_ms']} ms ({t['speed_up']} x), "
            f"outputs differ by at most {worst:.1e} of their range"
        )
    return "\n".join(lines)


def _row(record: dict[str, Any]) -> str:
    full, calm, echo = record["throughput"], record["latency"], record["echo"]
    memory, inference_ms, overhead_ms = full["memory_mb"], record["inference_p50_ms"], record["overhead_p50_ms"]
    echo_ms = echo["latency_ms"]["p50"]
    cells = [
        record["size"],
        f"{full['answered_per_s']:.1f} of {full['sent_per_s']:.0f}",
        f"{full['dropped']} of {full['sent']}",
        f"{calm['latency_ms']['p50']:.1f} / {calm['latency_ms']['p95']:.1f} ms",
        "-" if inference_ms is None else f"{inference_ms:.1f} ms",
        "-" if overhead_ms is None else f"{overhead_ms:.1f} / {echo_ms:.1f} ms = {record['overhead_over_echo']}",
        f"{full['cpu_cores']}",
        f"{memory['first']:.0f} to {memory['last']:.0f} MB",
    ]
    return f"| {' | '.join(cells)} |"
