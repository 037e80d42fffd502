"""Images of a board through a lens of known K, F and floor, blurred by the project's own layered simulator."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dfd_perception.core.layered_blur import blur_layers
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.registration import RigidTransform
from dfd_perception.core.sensor import encoded_from_linear, linear_from_encoded, uint8_from_encoded
from dfd_perception.files.images import write_png
from support.rendered_rig import CHARUCO, ROBOT, RenderedCamera

TRUE = DefocusCurve(gain_px_per_dioptre=6.0, focus_distance_m=0.55, blur_floor_px=1.6)
DISTANCES_M = (0.57, 0.63, 0.7, 0.78, 0.86, 0.95)
BOARD_TEXT = "charuco:9x6:0.05:0.037"


def board_image(distance_m: float, curve: DefocusCurve = TRUE, seed: int = 0) -> NDArray[np.uint8]:
    """(480, 640, 3) uint8: the board square to the camera, blurred as `curve` says."""
    rotation = cv2.Rodrigues(np.array([0.08, -0.1, 0.03]))[0]
    pose = RigidTransform(rotation, np.array([0.0, 0.0, distance_m]) - rotation @ np.array([0.2, 0.125, 0.0]))
    camera = RenderedCamera(ROBOT, CHARUCO)
    sharp = linear_from_encoded(camera.image(pose, blur_px=curve.blur_floor_px / 4, seed=seed).astype(np.float32) / 255)
    beta = curve.signed_coc_px(camera.plane_depth_m(pose)).astype(np.float32)
    light = blur_layers(sharp, beta)
    light += np.random.default_rng(seed).normal(0, 0.004, light.shape).astype(np.float32)
    return uint8_from_encoded(encoded_from_linear(np.clip(light, 0, 1)))


@pytest.fixture(scope="session")
def board_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    for index, distance_m in enumerate(DISTANCES_M):
        write_png(folder / f"board_{index}.png", board_image(distance_m, seed=index))
    return folder


@pytest.fixture(scope="session")
def camera_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("camera") / "camera.yaml"
    matrix = ROBOT.intrinsics.matrix().ravel().tolist()
    path.write_text(
        "image_width: 640\nimage_height: 480\ndistortion_model: plumb_bob\n"
        f"camera_matrix: {{rows: 3, cols: 3, data: {matrix}}}\n"
        f"distortion_coefficients: {{rows: 1, cols: 5, data: {ROBOT.distortion.coefficients()[:5].tolist()}}}\n"
    )
    return path
