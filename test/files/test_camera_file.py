# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest

from dfd_perception.core.camera_info import image_camera
from dfd_perception.errors import CalibrationError
from dfd_perception.files.camera_file import read_camera_file

TEXT = """
image_width: 640
image_height: 480
camera_name: left
camera_matrix: {rows: 3, cols: 3, data: [610.0, 0, 326, 0, 612, 233, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [-0.12, 0.05, 0.0006, -0.0004, 0]}
projection_matrix: {rows: 3, cols: 4, data: [560, 0, 320, 0, 0, 565, 240, 0, 0, 0, 1, 0]}
"""


def test_a_calibration_of_ros_is_read_like_camera_info(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(TEXT)
    info = read_camera_file(path)
    assert image_camera(info, (480, 640)).intrinsics.fx == 610.0
    assert image_camera(info, (480, 640), rectified="true").intrinsics.fx == 560.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("camera_matrix", "camera_mtx"), "lacks 'camera_matrix'"),
        (("data: [610.0, ", "data: ["), "camera_matrix has 8 numbers; expected 9"),
        (("data: [560, ", "data: [.nan, "), "projection_matrix has 12 numbers; expected 12 finite"),
        (("image_height: 480", "image_height: tall"), "tall"),
        ((TEXT, "focal_length_mm: 35"), "lacks 'image_width'"),
    ],
)
def test_another_file_is_refused_by_name_in_one_line(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(TEXT.replace(*change))
    with pytest.raises(CalibrationError, match=r"camera.yaml: not a camera calibration") as error:
        read_camera_file(path)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
