"""Message types without ROS: bytes of a bag into records with numpy fields, and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.errors import DatasetError

IDL_RULE = "=" * 80 + "\n"


@lru_cache(maxsize=1)
def standard_types() -> Typestore:
    """The types of ROS 2 Jazzy; those of cameras are the same in every distribution since Humble."""
    return get_typestore(Stores.ROS2_JAZZY)


def types_of(connections: Sequence[Connection]) -> Typestore:
    """The types that a bag defines, over the standard ones for those that it does not."""
    own = get_typestore(Stores.EMPTY)
    known: set[str] = set()
    for connection in connections:
        definition = connection.msgdef
        if definition.format == MessageDefinitionFormat.NONE or connection.msgtype in known:
            continue
        known.add(connection.msgtype)
        try:
            if definition.format == MessageDefinitionFormat.MSG:
                found = get_types_from_msg(definition.data, connection.msgtype)
            else:
                found = _types_from_idl(definition.data)
        except TypesysError:
            continue  # an exotic definition of a topic that nobody may ask for; asking says so
        own.register({name: fields for name, fields in found.items() if name not in own.fielddefs})
    standard = standard_types()
    own.register({name: fields for name, fields in standard.fielddefs.items() if name not in own.fielddefs})
    return own


def _types_from_idl(text: str) -> dict[str, Any]:
    """Types of an IDL definition: one file, or several below each other as rosbag2 stores them."""
    if not text.startswith(f"{IDL_RULE}IDL: "):
        return dict(get_types_from_idl(text))
    found: dict[str, Any] = {}
    for part in text.split(IDL_RULE)[1:]:
        found.update(get_types_from_idl(part.partition("\n")[2]))
    return found


def deserialised(types: Typestore, content: bytes, msgtype: str) -> Any:
    """A message as a record; its arrays are read-only numpy views of `content`.

    Raises:
        DatasetError: an unknown type, or bytes that are not one.
    """
    try:
        return types.deserialize_cdr(content, msgtype)
    except (SerdeError, TypesysError, KeyError, AssertionError) as error:
        raise DatasetError(f"message of type {msgtype} cannot be decoded ({error})") from error


def header(stamp_ns: int, frame_id: str) -> Any:
    """A std_msgs/Header record."""
    types = standard_types().types
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    stamp = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)


def image_message(image: NDArray[Any], encoding: str, stamp_ns: int, frame_id: str) -> Any:
    """A sensor_msgs/Image record of an image in the memory layout that `encoding` names."""
    image = np.ascontiguousarray(image)
    height, width = image.shape[:2]
    return standard_types().types["sensor_msgs/msg/Image"](
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=image.strides[0],
        data=image.view(np.uint8).reshape(-1),
    )


def compressed_image_message(packed: bytes, kind: str, stamp_ns: int, frame_id: str) -> Any:
    """A sensor_msgs/CompressedImage record; `kind` is jpeg or png."""
    data = np.frombuffer(packed, np.uint8)
    return standard_types().types["sensor_msgs/msg/CompressedImage"](
        header=header(stamp_ns, frame_id), format=kind, data=data
    )


def camera_info_message(camera: CameraIntrinsics, stamp_ns: int, frame_id: str) -> Any:
    """A sensor_msgs/CameraInfo record of a camera without distortion."""
    types = standard_types().types
    projection = np.zeros((3, 4))
    projection[:, :3] = camera.matrix()
    return types["sensor_msgs/msg/CameraInfo"](
        header=header(stamp_ns, frame_id),
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=camera.matrix().reshape(-1),
        r=np.eye(3).reshape(-1),
        p=projection.reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=types["sensor_msgs/msg/RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )


def stamp_ns_of(message: Any) -> int:
    """The header's time stamp [ns]."""
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
