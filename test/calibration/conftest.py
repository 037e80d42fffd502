# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Images of a board through a lens of known K, F and floor, blurred by the project's own layered simulator."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.layered_blur import blur_layers
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.registration import RigidTransform
from dfd_perception.core.sensor import encoded_from_linear, linear_from_encoded, uint8_from_encoded
from dfd_perception.datasets.sample import DefocusSample
from dfd_perception.datasets.synthesis import FolderWriter
from dfd_perception.files.images import write_png
from support.rendered_rig import CHARUCO, ROBOT, RenderedCamera

TRUE = DefocusCurve(gain_px_per_dioptre=6.0, focus_distance_m=0.55, blur_floor_px=1.6)
DISTANCES_M = (0.57, 0.63, 0.7, 0.78, 0.86, 0.95)
SESSION_LENS = DefocusCurve(gain_px_per_dioptre=12.0, focus_distance_m=0.6)
SESSION_DISTANCES_M = (0.6, 0.66, 0.75, 0.87, 1.0, 1.2, 1.6, 2.4)
SESSION_FX_PX = 400.0
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


def textured_plane(distance_m: float, seed: int) -> DefocusSample:
    """A plane of 1/f texture square to the camera, 240 x 320."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(320), np.fft.fftfreq(240)))
    frequency[0, 0] = 1
    spectra = (np.fft.fft2(rng.standard_normal((240, 320))) / frequency**1.1 for _ in range(3))
    colours = np.stack([np.fft.ifft2(spectrum).real for spectrum in spectra], axis=-1)
    texture = 1.2 * colours.mean(axis=-1, keepdims=True) + 0.5 * colours
    sharp = np.clip(0.35 + 0.14 * texture / texture.std(), 0.01, 1).astype(np.float32)
    beta = np.full((240, 320), SESSION_LENS.signed_coc_px(distance_m), np.float32)
    light = blur_layers(sharp, beta) + rng.normal(0, 0.004, sharp.shape).astype(np.float32)
    return DefocusSample(
        name=f"plane_{seed}",
        defocused=uint8_from_encoded(encoded_from_linear(np.clip(light, 0, 1))),
        depth_m=np.full((240, 320), distance_m, np.float32),
        camera=CameraIntrinsics(width=320, height=240, fx=SESSION_FX_PX, fy=SESSION_FX_PX, cx=159.5, cy=119.5),
    )


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("session") / "planes"
    writer = FolderWriter(folder, None, {"source": "a test"})
    for seed, distance_m in enumerate(SESSION_DISTANCES_M):
        writer.add(textured_plane(distance_m, seed))
    writer.finish()
    return folder
