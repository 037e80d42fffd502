# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How fast depth is registered and sessions are written on this machine: python benchmarks/recording.py [--json].

Registration: 640 x 576 depth into 1280 x 720. Writing: pairs of a 1280 x 720 colour image with sensor noise and a
640 x 576 depth map through the recorder's queue, as PNG and as JPEG, and the packing of one image by PNG strategy.
Processor time is given beside the wall's, since it does not depend on what else runs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.clock import FrameStamps
from dfd_perception.core.distortion import DistortedCamera, Distortion
from dfd_perception.core.registration import DepthRegistration, RigidTransform
from dfd_perception.groundtruth.recorder import SessionRecorder
from dfd_perception.groundtruth.session import RecordedMoment, SessionDescription, SessionWriter

PAIRS = 60
DEPTH_CAMERA = DistortedCamera(
    intrinsics=CameraIntrinsics(width=640, height=576, fx=504.6, fy=504.7, cx=332.8, cy=348.8),
    distortion=Distortion.from_coefficients([0.548, -0.021, 2e-5, -7e-5, -0.0027, 0.89, 0.086, -0.0139]),
)
COLOUR_CAMERA = DistortedCamera(
    intrinsics=CameraIntrinsics(width=1280, height=720, fx=611.8, fy=611.9, cx=639.3, cy=365.9),
    distortion=Distortion.from_coefficients([0.33, -2.489, -1.6e-4, -1.3e-4, 1.454, 0.209, -2.303, 1.375]),
)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A colour image (720, 1280, 3) uint8 with texture and noise; depth (576, 640) uint16 with noise and edges."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (45, 80, 3)).astype(np.uint8)
    image = cv2.resize(coarse, (1280, 720), interpolation=cv2.INTER_CUBIC) + rng.normal(0, 2, (720, 1280, 3))
    depth = 1500 + 600 * np.sin(np.arange(640) / 90)[None] + rng.normal(0, 3, (576, 640))
    depth[200:400, 250:400] = 700 + rng.normal(0, 2, (200, 150))
    return np.clip(image, 0, 255).astype(np.uint8), depth.astype(np.uint16)


def per_call_ms(work: Callable[[], object], calls: int = 20) -> dict[str, float]:
    """Wall and processor time of one call [ms]."""
    work()
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(calls):
        work()
    return {
        "wall_ms": (time.perf_counter() - wall) / calls * 1e3,
        "cpu_ms": (time.process_time() - processor) / calls * 1e3,
    }


def writing(lossless: bool, image: np.ndarray, depth: np.ndarray) -> dict[str, float]:
    """Pairs a second through the queue, and processor time of a pair."""
    with tempfile.TemporaryDirectory() as folder:
        description = SessionDescription(source="benchmark", parts=("depth", "image"))
        recorder = SessionRecorder(SessionWriter(Path(folder) / "session", description, lossless=lossless))
        wall, processor = time.perf_counter(), time.process_time()
        for number in range(PAIRS):
            parts = {"depth": depth, "image": image}
            moment = RecordedMoment(parts=parts, stamps=FrameStamps(ros_ns=number), image_ns=number)
            recorder.offer(moment, patiently=True)
        done = recorder.stop()
        return {
            "pairs_per_s": PAIRS / (time.perf_counter() - wall),
            "cpu_ms_per_pair": (time.process_time() - processor) / PAIRS * 1e3,
            "mb_per_pair": done.written_bytes / PAIRS / 1e6,
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print as JSON")
    args = parser.parse_args()
    image, depth = scene()
    transform = RigidTransform(cv2.Rodrigues(np.array([-0.086, 0.0, 0.0]))[0], np.array([-0.032, -0.002, 0.004]))
    registration = DepthRegistration(DEPTH_CAMERA, COLOUR_CAMERA, transform)
    depth_m = depth.astype(np.float32) * np.float32(1e-3)
    results = {"registration": per_call_ms(lambda: registration.register(depth_m))}
    strategies = {"rle": cv2.IMWRITE_PNG_STRATEGY_RLE, "default": cv2.IMWRITE_PNG_STRATEGY_DEFAULT}
    for name, strategy in strategies.items():
        for level in (1, 2, 4, 6):
            options = [cv2.IMWRITE_PNG_COMPRESSION, level, cv2.IMWRITE_PNG_STRATEGY, strategy]
            results[f"png_{name}_{level}"] = per_call_ms(lambda o=options: cv2.imencode(".png", image, o), 5)
    results["session_png"] = writing(True, image, depth)
    results["session_jpeg"] = writing(False, image, depth)
    if args.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(f"{name:16}" + "  ".join(f"{key} {value:.1f}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
