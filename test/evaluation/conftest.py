# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Small bags and frames with known truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_perception.bags.messages import camera_info_message, image_message
from dfd_perception.bags.writer import BagWriter
from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.optics import DefocusCurve

SIZE = (48, 64)
CAMERA = CameraIntrinsics(width=64, height=48, fx=620.0, fy=625.0, cx=31.0, cy=24.5)
LENS_YAML = "aperture_diameter_mm: 25\nfocus_distance_m: 0.5\n"
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 33_333_333
IMAGE, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"


@dataclass(frozen=True)
class Scene:
    """One frame as it was made."""

    defocused: np.ndarray
    aif: np.ndarray
    depth_mm: np.ndarray


@lru_cache(maxsize=64)
def scene(index: int, size: tuple[int, int] = SIZE) -> Scene:
    rng = np.random.default_rng(index)
    height, width = size
    aif = cv2.resize(rng.integers(0, 256, (height // 4, width // 4, 3), np.uint8), (width, height))
    defocused = cv2.GaussianBlur(aif, (0, 0), 1.5)
    slope = np.linspace(640, 2400, width)[None] * np.linspace(1.0, 0.8, height)[:, None]
    depth_mm = (slope + 40 * (index % 5)).astype(np.uint16)
    depth_mm[:4, :10] = 0
    return Scene(defocused, aif, depth_mm)


def depth_message(depth_mm, encoding, stamp, frame_id="camera"):
    if encoding == "32FC1":
        metres = np.where(depth_mm > 0, depth_mm.astype(np.float32) * np.float32(1e-3), np.float32(np.nan))
        return image_message(metres, encoding, stamp, frame_id)
    return image_message(depth_mm, encoding, stamp, frame_id)


@pytest.fixture
def lens_file(tmp_path: Path) -> Path:
    path = tmp_path / "lens.yaml"
    path.write_text(LENS_YAML)
    return path


@pytest.fixture
def curve() -> DefocusCurve:
    return DefocusCurve.from_aperture(CAMERA.fx, 25.0, 0.5)


@pytest.fixture
def make_bag(tmp_path: Path):
    """A function that writes a bag and returns its path; keywords turn it into one of the cases."""

    def make(
        name="bag", frames=6, depth="16UC1", aif=True, depth_frame="camera", stamps=True, without=(), depth_size=None,
        storage="mcap", size=SIZE, empty=(),
    ) -> Path:  # fmt: skip
        path = tmp_path / name
        with BagWriter(path, storage=storage) as bag:
            for i in range(frames):
                made = scene(i % 40, size)
                log = START_NS + i * PERIOD_NS
                stamp = log if stamps else 0
                camera = CAMERA.scaled(size=size)
                bag.write("/camera/image", IMAGE, log, image_message(made.defocused, "rgb8", stamp, "camera"))
                bag.write("/camera/camera_info", INFO, log, camera_info_message(camera, stamp, "camera"))
                if aif:
                    bag.write("/truth/aif", IMAGE, log + 1, image_message(made.aif, "rgb8", stamp, "camera"))
                if depth and i not in without:
                    depth_mm = np.full_like(made.depth_mm, 65535) if i in empty else made.depth_mm
                    if depth_size:
                        depth_mm = cv2.resize(depth_mm, depth_size[::-1], interpolation=cv2.INTER_NEAREST)
                    shifted = stamp + 2_000_000 if stamps else 0
                    message = depth_message(depth_mm, depth, shifted, depth_frame)
                    bag.write("/truth/depth", IMAGE, log + 2_000_000, message)
        return path

    return make


@pytest.fixture
def plan_for(tmp_path: Path, tiny_coc_model: Path, lens_file: Path):
    """A function that gives the plan of an evaluation of some bags."""
    from dfd_perception.evaluation.plan import EvaluationPlan
    from dfd_perception.evaluation.scoring.protocol import Protocol
    from dfd_perception.inference.estimator import EstimatorOptions

    def plan(*bags: Path, out="out", **changes) -> EvaluationPlan:
        values = {
            "model": str(tiny_coc_model),
            "out": tmp_path / out,
            "bags": bags,
            "lens": lens_file,
            "protocol": Protocol(edges=False),
            "estimator": EstimatorOptions(backend="onnxruntime", num_threads=1),
        }
        return EvaluationPlan(**(values | changes))

    return plan
