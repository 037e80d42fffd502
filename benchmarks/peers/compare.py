# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Our node, a node written the usual way, and the thesis' network in eager torch: the same images, one run.

    python benchmarks/peers/compare.py --seconds 10 [--size 480x640] [--repeat 3] [--out peers.json]

Each is measured twice: with more images than it can answer (rate, drops, CPU, memory), and at half of the rate that it
reached (latency, and where a frame's time goes), for three answers at least. A bare echo node at the same rate, 5 a
second at least, says what such messages cost; the overhead is stated where ten answers or more make its median.
Stop other work first; figures of one run can be compared with each other, not with those of another machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from statistics import median
from typing import Any

from dfd_perception.benchmark.node_benchmark import measure_two_rates
from dfd_perception.benchmark.processes import BenchmarkOptions
from dfd_perception.environment import use_own_ros_domain

USUAL = str(Path(__file__).with_name("usual_node.py"))
PEERS: dict[str, list[str] | None] = {
    "dfd_node, 2hded-small": None,
    "usual node, 2hded-small in eager torch": [USUAL, "--network", "2hded-small"],
    "usual node, 2hded (thesis) in eager torch": [USUAL, "--network", "thesis"],
}


def measure(name: str, options: BenchmarkOptions, size: tuple[int, int]) -> dict[str, Any]:
    """One row of the table."""
    record = measure_two_rates(options, size, PEERS[name])
    full, calm, echo = record["throughput"], record["latency"], record["echo"]
    return {
        "peer": name,
        "frames_per_s": full["answered_per_s"],
        "of": full["sent_per_s"],
        "dropped": full["dropped"],
        "cpu_ms_per_frame": full["cpu_ms_per_frame"],
        "memory_mb": full["memory_mb"]["last"],
        "latency_ms": calm["latency_ms"],
        "answers": calm["answered"],
        "latency_at_full_rate_ms": full["latency_ms"],
        "stages_ms": calm["stages_ms"],
        "echo_ms": echo["latency_ms"]["p50"],
        "overhead_over_echo": record["overhead_over_echo"],
    }


def middle(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of median rate of several repetitions."""
    target = median(row["frames_per_s"] for row in rows)
    return min(rows, key=lambda row: abs(row["frames_per_s"] - target))


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown."""
    lines = ["| peer | frames/s (sent) | latency p50 / p95 [ms] | at full rate p50 [ms] | dropped | CPU [ms/frame] "
             "| memory [MB] | overhead / echo |", "| --- " * 8 + "|"]  # fmt: skip
    for row in rows:
        latency, full = row["latency_ms"], row["latency_at_full_rate_ms"]
        lines.append(
            f"| {row['peer']} | {row['frames_per_s']:g} ({row['of']:g}) | {latency['p50']:g} / {latency['p95']:g} "
            f"| {full['p50']:g} | {row['dropped']} | {row['cpu_ms_per_frame']:g} | {row['memory_mb']:g} "
            f"| {'-' if row['overhead_over_echo'] is None else row['overhead_over_echo']} |"
        )
    stages = sorted({stage for row in rows for stage in row["stages_ms"]})
    head = "| where a frame's time goes, p50 [ms] | " + " | ".join(stages) + " |"
    lines += ["", head, "| --- " * (len(stages) + 1) + "|"]
    for row in rows:
        cells = " | ".join(f"{row['stages_ms'][s]:.1f}" if s in row["stages_ms"] else "-" for s in stages)
        lines.append(f"| {row['peer']} | {cells} |")
    return "\n".join(lines)


def main() -> int:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--size", default="480x640", help="height x width")
    parser.add_argument("--rate", type=float, default=60.0, help="images a second that are sent at most")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    use_own_ros_domain()
    height, width = (int(side) for side in args.size.split("x"))
    options = BenchmarkOptions(model="2hded-small", rate_hz=args.rate, duration_s=args.seconds)
    rows = []
    for name in PEERS:
        rows.append(middle([measure(name, options, (height, width)) for _ in range(args.repeat)]))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    how = {"machine": platform.processor() or platform.machine(), "cpus": os.cpu_count(), "load": os.getloadavg()}
    print(table(rows))
    print(f"\n{width}x{height}, {args.seconds:g} s a run, {args.repeat} repetitions; {how}")
    if args.out is not None:
        args.out.write_text(json.dumps({"rows": rows, "how": how}, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
