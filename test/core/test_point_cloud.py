# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Point clouds against points worked out by hand."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.point_cloud import PointCloudBuilder
from dfd_perception.errors import ImageError

CAMERA = CameraIntrinsics(width=4, height=3, fx=2.0, fy=4.0, cx=1.0, cy=2.0)


def test_points_lie_on_the_rays_of_their_pixels():
    depth = np.full((3, 4), 2.0, np.float32)
    depth[0, 0] = np.nan
    colours = np.zeros((3, 4, 3), np.uint8)
    colours[2, 3] = 1, 2, 3
    points = PointCloudBuilder(CAMERA).points(depth, colours)
    # Column 3 is 2 px right of cx: x = 2 * 2 / 2. Row 2 is cy.
    assert points[2, 3, :3].tolist() == [2.0, 0.0, 2.0]
    assert points[0, 1, :3].tolist() == [0.0, -1.0, 2.0]
    assert np.isnan(points[0, 0, :3]).all()
    assert struct.unpack("<I", points[2, 3, 3].tobytes())[0] == 0x00010203


def test_without_colour_points_are_grey():
    points = PointCloudBuilder(CAMERA).points(np.ones((3, 4), np.float32), None)
    assert struct.unpack("<I", points[1, 1, 3].tobytes())[0] == 0x00808080


def test_another_size_is_refused():
    with pytest.raises(ImageError, match="they must be alike"):
        PointCloudBuilder(CAMERA).points(np.ones((4, 3), np.float32), None)
