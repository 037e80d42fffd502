# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The node under everything that others may do to it, for minutes: does it live, answer, and stay as large as it was?

    python benchmarks/soak.py --minutes 11

Good images at the camera's rate; between them broken messages, images of other sizes, cameras that change, lifecycle
transitions in random order with ids that do not exist, reloads of good and broken models. Memory, threads, descriptors
and log lines a minute are read from outside. Exit code 1 when the node dies, a good image stays unanswered for long, or
a figure grows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 10.0
TRANSITIONS = (0, 1, 2, 3, 4, 5, 42, 97, 200)
GROWTH_MB = 150.0
"""Memory may grow by so much from the first tenth of the run to its end: a handful of networks and caches."""
LINES_A_MINUTE = 120.0
LONGEST_SILENCE_S = 20.0


class Vitals:
    """Figures of a process, from /proc."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        self.rows: list[dict[str, float]] = []

    def read(self, seconds: float) -> None:
        """Remember memory [MB], threads and descriptors now."""
        try:
            lines = (self._folder / "status").read_text().splitlines()
            status = dict(line.split(":", 1) for line in lines if ":" in line)
            self.rows.append({
                "s": round(seconds, 1),
                "rss_mb": int(status["VmRSS"].split()[0]) / 1024,
                "threads": int(status["Threads"]),
                "descriptors": len(list((self._folder / "fd").iterdir())),
            })  # fmt: skip
        except (OSError, KeyError, ValueError):
            return


class Attacker:
    """A peer that sends what good and bad peers send.

    Args:
        model: folder that the node loads; reloads are made good and broken in it.
        seed: of every choice.
    """

    def __init__(self, model: Path, seed: int) -> None:
        import rclpy
        from lifecycle_msgs.srv import ChangeState, GetState
        from rcl_interfaces.srv import SetParameters
        from sensor_msgs.msg import CameraInfo, Image
        from std_srvs.srv import Trigger

        self.rng = np.random.default_rng(seed)
        self.model, self.whole = model, (model / "model.onnx").read_bytes()
        self.node = rclpy.create_node("attacker")
        self.images = self.node.create_publisher(Image, "image", 5)
        self.infos = self.node.create_publisher(CameraInfo, "camera_info", 5)
        self.good = self.answered = 0
        self.last_answer_s = time.monotonic()
        self._sent: set[int] = set()
        self.counts: dict[str, int] = {}
        self.node.create_subscription(Image, "defocus/image", self._on_answer, 5)
        self.clients = {
            "change_state": self.node.create_client(ChangeState, "/dfd/change_state"),
            "get_state": self.node.create_client(GetState, "/dfd/get_state"),
            "reload_model": self.node.create_client(Trigger, "/dfd/reload_model"),
            "set_parameters": self.node.create_client(SetParameters, "/dfd/set_parameters"),
        }
        self.state = "unknown"

    def _on_answer(self, message: Any) -> None:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        if stamp in self._sent:
            self._sent.discard(stamp)
            self.answered += 1
            self.last_answer_s = time.monotonic()

    def send_good(self) -> None:
        """One image of 160x120 with its camera_info."""
        header = self._header()
        self._sent.add(header.stamp.sec * 10**9 + header.stamp.nanosec)
        self.good += 1
        self._publish(header, 120, 160)

    def disturb(self) -> None:
        """One thing that a node must survive."""
        kind = str(self.rng.choice(["broken", "size", "camera", "transition", "reload", "parameter", "stamp"],
                                   p=[0.35, 0.15, 0.15, 0.15, 0.05, 0.05, 0.1]))  # fmt: skip
        self.counts[kind] = self.counts.get(kind, 0) + 1
        getattr(self, f"_{kind}")()

    def _broken(self) -> None:
        header = self._header()
        message = self._message(header, 120, 160)
        field = str(self.rng.choice(["encoding", "width", "height", "step", "data"]))
        wrong = {
            "encoding": str(self.rng.choice(["", "nonsense", "x" * 100_000, "16UC1", "bayer_rggb8"])),
            "width": int(self.rng.choice([0, 1, 161, 2**31])),
            "height": int(self.rng.choice([0, 7, 2**31])),
            "step": int(self.rng.choice([0, 4, 2**31])),
            "data": [b"", b"\0" * 100][int(self.rng.integers(2))],
        }
        setattr(message, field, wrong[field])
        self.images.publish(message)

    def _size(self) -> None:
        self._publish(self._header(), int(self.rng.integers(8, 300)), int(self.rng.integers(8, 400)))

    def _camera(self) -> None:
        self._publish(self._header(), 120, 160, fx=float(self.rng.choice([0.0, 1.0, 1e9, float("nan"), 300.0])))

    def _stamp(self) -> None:
        header = self._header()
        header.stamp.sec = int(self.rng.choice([0, 1, 2**31 - 1, header.stamp.sec - 3600]))
        self._publish(header, 120, 160)

    def _transition(self) -> None:
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        asked = int(self.rng.choice(TRANSITIONS))
        if asked in (5, 6, 7):  # a node that is told to shut down does
            asked = 200
        self.clients["change_state"].call_async(ChangeState.Request(transition=Transition(id=asked)))

    def _reload(self) -> None:
        from std_srvs.srv import Trigger

        broken = self.whole if self.rng.random() < 0.5 else self.whole[: int(self.rng.integers(len(self.whole)))]
        (self.model / "model.onnx").write_bytes(broken)
        self.clients["reload_model"].call_async(Trigger.Request())

    def _parameter(self) -> None:
        from rcl_interfaces.msg import Parameter, ParameterValue
        from rcl_interfaces.srv import SetParameters

        value = ParameterValue(type=int(self.rng.integers(0, 12)), double_value=float(self.rng.normal()))
        name = str(self.rng.choice(["depth.max_m", "lens.f_number", "nonsense", "", "model"]))
        request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
        self.clients["set_parameters"].call_async(request)

    def recover(self) -> None:
        """Bring the node back to active, with a whole model."""
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        (self.model / "model.onnx").write_bytes(self.whole)
        for number in (1, 3):
            self.clients["change_state"].call_async(ChangeState.Request(transition=Transition(id=number)))

    def _header(self) -> Any:
        from std_msgs.msg import Header

        header = Header(frame_id="camera_optical")
        now = time.time_ns()
        header.stamp.sec, header.stamp.nanosec = now // 10**9, now % 10**9
        return header

    def _message(self, header: Any, height: int, width: int) -> Any:
        from dfd_perception.ros.shared.conversions import image_message

        return image_message(self.rng.integers(0, 256, (height, width, 3), np.uint8), "rgb8", header)

    def _publish(self, header: Any, height: int, width: int, fx: float = 200.0) -> None:
        from sensor_msgs.msg import CameraInfo

        k = [fx, 0.0, width / 2, 0.0, fx, height / 2, 0.0, 0.0, 1.0]
        p = [fx, 0.0, width / 2, 0.0, 0.0, fx, height / 2, 0.0, 0.0, 0.0, 1.0, 0.0]
        self.infos.publish(CameraInfo(header=header, height=height, width=width, k=k, p=p))
        self.images.publish(self._message(header, height, width))


def main() -> int:
    """Run, print the figures, and say whether they hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quiet-ms", type=float, default=100.0, help="pause between two disturbances [ms]")
    args = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", "71")
    with tempfile.TemporaryDirectory(prefix="dfd_soak_") as scratch:
        return soak(args.minutes * 60, args.seed, args.quiet_ms * 1e-3, Path(scratch))


def soak(seconds: float, seed: int, quiet_s: float, scratch: Path) -> int:
    """Attack a node for so long; returns the exit code."""
    import rclpy

    model = scratch / "model"
    shutil.copytree(ROOT / "test/assets/tiny_coc", model)
    log = scratch / "node.log"
    command = [sys.executable, "-m", "dfd_perception.ros.depth_node.dfd_node", "--ros-args", "-p", f"model:={model}"]
    command += ["-p", "backend:=onnxruntime", "-p", "num_threads:=1", "-p", "lens.aperture_diameter_mm:=25.0"]
    command += ["-p", "lens.focus_distance_m:=0.6"]
    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT) as process:
        rclpy.init()
        attacker = Attacker(model, seed)
        spinner = threading.Thread(target=_spin, args=(attacker.node,), daemon=True)
        spinner.start()
        vitals, worst_silence_s = Vitals(process.pid), 0.0
        started = next_good = next_bad = next_look = time.monotonic()
        while (now := time.monotonic()) - started < seconds and process.poll() is None:
            if now >= next_good:
                attacker.send_good()
                next_good = now + 1 / RATE_HZ
            # The last two thirds of every ten seconds are quiet: the node must come back by itself.
            if now >= next_bad and (now - started) % 10 < 3.3:
                attacker.disturb()
                next_bad = now + quiet_s
            if now >= next_look:
                vitals.read(now - started)
                if (now - started) % 10 >= 3.3:
                    attacker.recover()
                next_look = now + 2.0
            if attacker.answered:
                worst_silence_s = max(worst_silence_s, now - attacker.last_answer_s)
            time.sleep(0.005)
        alive = process.poll() is None
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
        rclpy.shutdown()
    return report(attacker, vitals, log.read_text(errors="replace"), alive, code, worst_silence_s, seconds)


def _spin(node: Any) -> None:
    import rclpy

    try:
        rclpy.spin(node)
    except rclpy.executors.ExternalShutdownException:
        return


def report(
    attacker: Attacker, vitals: Vitals, log: str, alive: bool, code: int, silence_s: float, seconds: float
) -> int:
    """Print the figures; 1 when one of them does not hold."""
    rows = vitals.rows
    settled = rows[max(1, len(rows) // 10) :] or rows
    lines_a_minute = len(log.splitlines()) / (seconds / 60)
    growth_mb = settled[-1]["rss_mb"] - settled[0]["rss_mb"]
    figures = {
        "seconds": seconds,
        "good images": attacker.good,
        "answered": attacker.answered,
        "longest silence [s]": round(silence_s, 1),
        "disturbances": dict(sorted(attacker.counts.items())),
        "memory [MB]": [round(settled[0]["rss_mb"]), round(settled[-1]["rss_mb"])],
        "threads": [settled[0]["threads"], settled[-1]["threads"]],
        "descriptors": [settled[0]["descriptors"], settled[-1]["descriptors"]],
        "log lines a minute": round(lines_a_minute, 1),
        "longest log line": max(map(len, log.splitlines()), default=0),
        "exit code": code,
    }
    print(json.dumps(figures, indent=1))
    failures = [
        text
        for holds, text in (
            (alive, "the node died"),
            (code == 0, f"it ended with {code}"),
            ("Traceback" not in log, "it left a traceback"),
            (attacker.answered > 0, "no good image was answered"),
            (silence_s < LONGEST_SILENCE_S, "it was silent for too long"),
            (growth_mb < GROWTH_MB, f"memory grew by {growth_mb:.0f} MB"),
            (lines_a_minute < LINES_A_MINUTE, "it floods the log"),
        )
        if not holds
    ]
    for text in failures:
        print(f"soak: {text}", file=sys.stderr)
    if failures:
        print("\n".join(log.splitlines()[-30:]), file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
