# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`make demo`: a recorded scene through the running node, by real topics, and what came of it.

Three processes: a player, the node, and this one, which subscribes. It ends by itself; results are in demo_output/.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dfd_perception.benchmark.processes import NODE, parameter_arguments, start, stop
from dfd_perception.environment import use_own_ros_domain
from dfd_perception.errors import BackendError, DfdPerceptionError, counted
from dfd_perception.files.images import write_png
from dfd_perception.files.lens_file import read_lens
from dfd_perception.files.model_folder import find_model
from dfd_perception.ros.tools.demo_report import measure, scene_sheets, write_page_images
from dfd_perception.ros.tools.demo_scene import INFO_TOPIC, demo_folder, read_scene

START_LIMIT_S = 90.0
PLAY_LIMIT_S = 60.0
SETTLE_S = 1.5


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    default = os.environ.get("MODEL") or "2hded-small"
    parser.add_argument("--model", default=default, help="model folder by name or path (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="where results go (default: %(default)s)")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE.jpg", help="write a picture of each scene too, for a page"
    )
    parser.add_argument("--backend", default="auto", help="parameter backend of the node")
    parser.add_argument("--rate", type=float, default=0.5, help="speed; 1 is 4 frames/s (default: %(default)s)")
    parser.add_argument("--rviz", action="store_true", default=os.environ.get("RVIZ", "0") == "1", help="open RViz")
    return parser.parse_args(arguments)


def start_node(args: argparse.Namespace, folder: Path) -> subprocess.Popen[bytes]:
    """Start dfd_node on the bag's topics, with the demo's lens."""
    lens = read_lens(folder / "lens.yaml")
    parameters: dict[str, Any] = {
        "model": args.model,
        "backend": args.backend,
        "input.transport": "compressed",
        "depth.min_m": lens.focus_distance_m,
        "depth.max_m": 10.0,
        "lens.focal_length_mm": float(lens.focal_length_mm or 0),
        "lens.f_number": float(lens.f_number or 0),
        "lens.aperture_diameter_mm": float(lens.aperture_diameter_mm or 0),
        "lens.focus_distance_m": lens.focus_distance_m,
    }
    names = ["-r", "image/compressed:=/camera/image/compressed", "-r", f"camera_info:={INFO_TOPIC}"]
    return start(NODE, "--ros-args", *names, *parameter_arguments(parameters))


def play(folder: Path, rate: float, duration_s: float | None = None) -> subprocess.Popen[bytes]:
    """Start a player of the bag, in a process of its own; the node and this process listen to it."""
    command = [sys.executable, "-m", "dfd_perception.cli", "play", str(folder / "scene_bag"), "--rate", str(rate)]
    command += ["--subscribers", "2"]
    if duration_s is not None:
        command += ["--duration", str(duration_s)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def open_rviz(folder: Path) -> subprocess.Popen[bytes] | None:
    """Open RViz where there is one."""
    program = shutil.which("rviz2")
    if program is None:
        print("demo: RVIZ=1, but there is no rviz2 on the path (it comes with a ROS 2 installation); going on without")
        return None
    config = folder.parent / "rviz" / "dfd.rviz"
    return subprocess.Popen([program, "-d", str(config)])


def run(args: argparse.Namespace) -> int:
    """Run the demo; returns the exit code."""
    # rclpy reads the environment when it starts: after use_own_ros_domain.
    from dfd_perception.ros.tools.demo_subscriber import Subscriber

    folder = demo_folder()
    scene = read_scene(folder / "scene_bag")
    print(f"demo: {len(scene)} recorded frames, model {args.model}", flush=True)
    subscriber = Subscriber()
    viewer = open_rviz(folder) if args.rviz else None
    node = start_node(args, folder)
    player: subprocess.Popen[bytes] | None = None
    try:
        warm_up(subscriber, node, folder)
        started = time.monotonic()
        player = play(folder, args.rate)
        while player.poll() is None or time.monotonic() - subscriber.last_answer_s < SETTLE_S:
            subscriber.spin_once()
            if time.monotonic() - started > PLAY_LIMIT_S / min(args.rate, 1.0):
                raise BackendError("the bag did not play to its end in time")
        if viewer is not None:
            print("demo: RViz is open; close it to go on", flush=True)
            while viewer.poll() is None:
                again = play(folder, args.rate)
                while again.poll() is None and viewer.poll() is None:
                    subscriber.spin_once()
                stop(again)
    finally:
        if player is not None:
            stop(player)
        code = stop(node)
    subscriber.close()
    if code != 0:
        raise BackendError(f"the node ended with exit code {code}")
    return report(args, scene, subscriber)


def warm_up(subscriber: Any, node: subprocess.Popen[bytes], folder: Path) -> None:
    """Play the first frame until it is answered: the network is prepared for its size meanwhile."""
    deadline = time.monotonic() + START_LIMIT_S
    while not (subscriber.depths and subscriber.images):
        player = play(folder, 1.0, 0.1)
        while player.poll() is None:
            subscriber.spin_once()
        waited = time.monotonic()
        while time.monotonic() - waited < 1.0 and not subscriber.depths:
            subscriber.spin_once()
        if node.poll() is not None:
            raise BackendError(f"the node ended with exit code {node.returncode}")
        if time.monotonic() > deadline:
            raise BackendError("the node gave no answer (its log is above)")
    subscriber.begin()


def report(args: argparse.Namespace, scene: dict[int, Any], subscriber: Any) -> int:
    """Write montage.png and summary.json and say where; returns the exit code."""
    depths = {stamp: depth for stamp, depth in subscriber.depths.items() if stamp in scene}
    images = {stamp: image for stamp, image in subscriber.images.items() if stamp in scene}
    answered = set(depths) & set(images)
    latencies_ms = [v * 1e3 for v in subscriber.latencies_s()]
    summary = {
        "model": args.model,
        "frames_sent": len(scene),
        "frames_answered": len(answered),
        "frames_dropped": len(scene) - len(answered),
        "latency_ms": {
            "what": "from a frame's arrival at the subscriber to that of its depth and deblurred image",
            "p50": round(float(np.percentile(latencies_ms, 50)), 1) if latencies_ms else None,
            "p95": round(float(np.percentile(latencies_ms, 95)), 1) if latencies_ms else None,
        },
        "running": subscriber.running,
        **measure(scene, depths, images),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    if not answered:
        raise BackendError("no frame was answered")
    sheets = scene_sheets(scene, depths, images)
    write_png(args.out / "montage.png", np.vstack(sheets))
    if args.picture:
        write_page_images(args.picture, sheets)
    depth, deblurred = summary["depth"], summary["deblurred"]
    print(
        f"demo: {len(answered)} of {counted(len(scene), 'frame')} answered, latency p50 "
        f"{summary['latency_ms']['p50']} ms; depth AbsRel {depth['abs_rel']:.3f} "
        f"(best constant: {summary['depth_baseline']['abs_rel']:.3f}); deblurred "
        f"{deblurred['psnr_db']:.2f} dB (input: {deblurred['input_psnr_db']:.2f} dB)"
    )
    print(f"demo: look at {args.out / 'montage.png'} and {args.out / 'summary.json'}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and say in one line what went wrong, if anything did."""
    args = parse(arguments)
    use_own_ros_domain()
    try:
        args.model = str(find_model(args.model))
        return run(args)
    except DfdPerceptionError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
