# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the node tells of accuracy: the card's blur error at each distance's blur, the floor taken out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from std_msgs.msg import Header

from dfd_perception.bags.messages import camera_info_message
from dfd_perception.core.blur_error import stated_blur_error
from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.camera_info import image_camera
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.files.model_folder import ModelFolder, load_model_folder
from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters
from dfd_perception.ros.depth_node.frame_decoder import DecodedFrame
from dfd_perception.ros.depth_node.frame_lens import LensNarrator, describe_lens

MODELS = Path(__file__).resolve().parents[3] / "models"
CARD = MODELS / "2hded-small" / "model.yaml"
CURVE = DefocusCurve(gain_px_per_dioptre=10.0, focus_distance_m=0.5, blur_floor_px=3.0)
BY_BLUR = [{"from_px": 0, "to_px": 4, "mae_px": 0.3}, {"from_px": 9, "to_px": 11, "mae_px": 0.8},
           {"from_px": 14, "to_px": 16, "mae_px": 1.5}]  # fmt: skip


def model_stating(metrics: dict) -> ModelFolder:
    folder = load_model_folder("2hded-small", verify=False)
    return ModelFolder(folder.path, replace(folder.card, metrics=metrics))


def said_at_m(model: ModelFolder, curve: DefocusCurve, **parameters: str) -> dict[float, float]:
    """Distance to accuracy [m] in the line of the log."""
    information, _ = describe_lens(model, DfdParameters(**parameters), curve, (480, 640))
    return {float(d): float(std) for d, std in re.findall(r"([\d.]+) m: \+- ([\d.]+) m", information[-1])}


def test_the_shipped_card_states_its_blur_error() -> None:
    metrics = yaml.safe_load(CARD.read_text("utf-8"))["metrics"]
    error = stated_blur_error(metrics)
    assert error is not None
    assert error.mae_px == pytest.approx(metrics["validation"]["defocus.mae"])


def test_the_floor_is_taken_out_in_quadrature() -> None:
    """At 1 m c = 10 px, R = sqrt(109) px: +- 0.5 R / c / K; at 2 m c = 15 px, R = sqrt(234) px: 4 times that."""
    said = said_at_m(model_stating({"validation": {"defocus.mae": 0.5}}), CURVE)
    assert said[1.0] == pytest.approx(0.5 * np.sqrt(109) / 10 / 10, abs=6e-4)
    assert said[2.0] == pytest.approx(4 * 0.5 * np.sqrt(234) / 15 / 10, abs=6e-4)


def test_each_distance_has_the_error_of_its_own_blur() -> None:
    model = model_stating({"validation": {"defocus.mae": 3.8, "defocus.by_blur": BY_BLUR}})
    said = said_at_m(model, replace(CURVE, blur_floor_px=0.0))
    assert said[1.0] == pytest.approx(0.8 / 10, abs=6e-4)  # 10 px of blur
    assert said[2.0] == pytest.approx(4 * 1.5 / 10, abs=6e-4)  # 15 px


def test_the_error_is_counted_in_pixels_that_the_network_sees() -> None:
    """At half the size the blur is half as wide, and 0.5 px of it are worth twice the depth."""
    model = model_stating({"validation": {"defocus.mae": 0.5}})
    curve = replace(CURVE, blur_floor_px=0.0)
    full, half = (said_at_m(model, curve, input_size=size)[1.0] for size in ("", "240x320"))
    assert (full, half) == pytest.approx((0.050, 0.100), abs=6e-4)


def test_what_is_in_focus_or_on_the_other_side_has_no_figure() -> None:
    information, _ = describe_lens(model_stating({}), DfdParameters(), replace(CURVE, focus_distance_m=2.0), (480, 640))
    assert "0.5 px (assumed, the model card states none)" in information[-1]
    assert "1 m: on the other side of the focus, 2 m: in focus, not resolved, 5 m: +- " in information[-1]


def test_a_region_of_interest_that_moves_is_told_of_once() -> None:
    """Its principal point is another in each image, and the line in the log was the same each time."""

    def frame(cx: float, fx: float = 600.0) -> DecodedFrame:
        intrinsics = CameraIntrinsics(width=640, height=480, fx=fx, fy=fx, cx=cx, cy=240.0)
        return DecodedFrame(
            header=Header(),
            image_rgb=np.zeros((480, 640, 3), np.uint8),
            info=None,
            camera=image_camera(camera_info_message(intrinsics, 0, "camera"), (480, 640)),
            camera_problem=None,
            colour_encoding="rgb8",
        )

    said: list[str] = []
    narrator = LensNarrator(lambda level, text: said.append(text))
    model, parameters = load_model_folder("2hded-small", verify=False), DfdParameters()
    for cx in (320.0, 322.0, 324.0):
        assert narrator.lens(model, parameters, frame(cx)) is not None
    assert [line for line in said if line.startswith("camera: ")] == [frame(320.0).camera.described()]
    narrator.lens(model, parameters, frame(320.0, fx=700.0))
    assert sum(line.startswith("camera: ") for line in said) == 2
