# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From numpy to ROS messages: images, camera_info, point clouds; and message classes by their names.

Decoding is in core.image_encoding. cv_bridge and sensor_msgs_py are not used: an apt cv_bridge built for NumPy 1
does not import under NumPy 2, and results are the same (compared in the tests wherever cv_bridge imports).

Filling: `data` gets a ready-made array.array. On Humble every other type is checked element by element (250 ms for
a 1280x720 depth image); on later distributions a numpy array or memoryview is as slow, and even an array.array is
copied unless the message checks its fields: then it is kept.
"""

from __future__ import annotations

import copy
import importlib
from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from dfd_perception.core.compressed_depth import compressed_from_depth_m
from dfd_perception.core.depth_encoding import uint16_mm_from_depth_m
from dfd_perception.core.point_cloud import POINT_STEP_BYTES
from dfd_perception.core.size import Size
from dfd_perception.errors import DatasetError, ImageError

POINT_FIELDS = [
    PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
    for index, name in enumerate(("x", "y", "z", "rgb"))
]


def byte_array(content: NDArray[Any]) -> array[int]:
    """The array's memory as the type that message setters take without looking at each byte."""
    filled = array("B")
    filled.frombytes(np.ascontiguousarray(content).data.cast("B"))
    return filled


def image_message(pixels: NDArray[Any], encoding: str, header: Header) -> Image:
    """An Image of (H, W) or (H, W, C) pixels that lie in memory as `encoding` says."""
    message = Image(header=header, encoding=encoding, is_bigendian=0, **_keeping_arrays(Image))
    message.height, message.width = pixels.shape[:2]
    message.step = pixels[0].nbytes
    message.data = byte_array(pixels)
    return message


def depth_message(depth_m: NDArray[np.float32], encoding: str, header: Header) -> Image:
    """An Image of a depth map [m], NaN invalid: 32FC1 [m] as it is, or 16UC1 [mm] with 0 for invalid (REP 118)."""
    if encoding == "32FC1":
        return image_message(depth_m, encoding, header)
    if encoding == "16UC1":
        return image_message(uint16_mm_from_depth_m(depth_m), encoding, header)
    raise ImageError(f"depth.encoding is {encoding!r}; expected 32FC1 or 16UC1")


def compressed_depth_message(depth_m: NDArray[np.float32], header: Header) -> CompressedImage:
    """A CompressedImage of a depth map [m], NaN invalid, as PNG of whole millimetres (compressedDepth)."""
    kind, packed = compressed_from_depth_m(depth_m)
    return CompressedImage(header=header, format=kind, data=array("B", packed))


def point_cloud_message(points_HW4: NDArray[np.float32], header: Header) -> PointCloud2:
    """An organised PointCloud2 of core.point_cloud's points."""
    height, width = points_HW4.shape[:2]
    message = PointCloud2(header=header, height=height, width=width, **_keeping_arrays(PointCloud2))
    message.fields, message.is_bigendian = POINT_FIELDS, False
    message.point_step, message.row_step = POINT_STEP_BYTES, POINT_STEP_BYTES * width
    message.is_dense = False
    message.data = byte_array(points_HW4)
    return message


def scaled_camera_info(info: CameraInfo, header: Header, image_size: Size, output_size: Size) -> CameraInfo:
    """The camera_info of the image resized from `image_size` to `output_size` (height, width).

    K, P and the ROI follow; distortion and rectification do not depend on the size. Without a change of size
    everything but the header is the input's.
    """
    scaled = copy.copy(info)
    scaled.header = header
    if image_size == output_size:
        return scaled
    sy, sx = (out / size for out, size in zip(output_size, image_size, strict=True))
    scaled.height, scaled.width = round(info.height * sy), round(info.width * sx)
    # Pixel centres are integers: the border at -0.5 stays, hence the half pixels.
    resize = np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])
    scaled.k = (resize @ np.asarray(info.k).reshape(3, 3)).reshape(-1)
    scaled.p = (resize @ np.asarray(info.p).reshape(3, 4)).reshape(-1)
    roi = type(info.roi)(do_rectify=info.roi.do_rectify)
    roi.x_offset, roi.width = round(info.roi.x_offset * sx), round(info.roi.width * sx)
    roi.y_offset, roi.height = round(info.roi.y_offset * sy), round(info.roi.height * sy)
    scaled.roi = roi
    return scaled


def _keeping_arrays(kind: type) -> dict[str, bool]:
    """Arguments for a message that keeps the array.array which it is given; Humble's messages do so without."""
    return {"check_fields": True} if "_check_fields" in getattr(kind, "__slots__", ()) else {}


def message_class(msgtype: str) -> Any:
    """The class of "sensor_msgs/msg/Image".

    Raises:
        DatasetError: this ROS installation does not have it.
    """
    package, _, name = msgtype.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise DatasetError(f"message type {msgtype} is not installed here") from error
