# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Message types without ROS: bytes of a bag into records with numpy fields, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection, MessageDefinitionFormat, Nodetype
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.camera_info import CAMERA_INFO_TYPE
from dfd_perception.core.image_encoding import COMPRESSED_IMAGE_TYPE, IMAGE_TYPE
from dfd_perception.errors import DatasetError, reason_of

IDL_RULE = "=" * 80 + "\n"


@lru_cache(maxsize=1)
def standard_types() -> Typestore:
    """The types of ROS 2 Jazzy; those of cameras are the same in every distribution since Humble."""
    return get_typestore(Stores.ROS2_JAZZY)


def types_of(connections: Sequence[Connection]) -> Typestore:
    """The types that a bag defines, over the standard ones for those that it does not.

    Most bags define theirs as Jazzy does, and share its store: making one of its own takes a second.
    """
    standard = standard_types()
    defined: dict[str, Any] = {}
    for connection in connections:
        definition = connection.msgdef
        if definition.format == MessageDefinitionFormat.NONE or connection.msgtype in defined:
            continue
        try:
            if definition.format == MessageDefinitionFormat.MSG:
                types = get_types_from_msg(definition.data, connection.msgtype)
            else:
                types = _types_from_idl(definition.data)
        except Exception:  # TypesysError, and whatever its parser makes of rubbish
            continue  # an exotic definition of a topic that nobody may ask for; asking says so
        defined |= {n: f for n, f in types.items() if n not in defined and not lacking(f, standard.fielddefs.get(n))}
    if all(standard.fielddefs.get(name) == fields for name, fields in defined.items()):
        return standard
    wanted = [*defined, *(connection.msgtype for connection in connections)]
    types = _with_parts(wanted, {**standard.fielddefs, **defined})
    own = get_typestore(Stores.EMPTY)
    own.register(types)
    return own


def _with_parts(names: Sequence[str], known: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some types that are known, with the types of their fields and of the fields of these."""
    types: dict[str, Any] = {}
    waiting = [name for name in names if name in known]
    while waiting:
        name = waiting.pop()
        if name in types:
            continue
        types[name] = known[name]
        for _, (kind, part) in known[name][1]:
            if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
                kind, part = part[0]
            if kind == Nodetype.NAME and part in known:
                waiting.append(part)
    return types


def lacking(fields: Any, standard: Any) -> set[str]:
    """Fields of the standard type that a bag's own definition of it lacks: it is not that type, whatever its name."""
    return set() if standard is None else {name for name, _ in standard[1]} - {name for name, _ in fields[1]}


def _types_from_idl(text: str) -> dict[str, Any]:
    """Types of an IDL definition: one file, or several below each other as rosbag2 stores them."""
    if not text.startswith(f"{IDL_RULE}IDL: "):
        return dict(get_types_from_idl(text))
    types: dict[str, Any] = {}
    for part in text.split(IDL_RULE)[1:]:
        types.update(get_types_from_idl(part.partition("\n")[2]))
    return types


def deserialised(types: Typestore, content: bytes, msgtype: str) -> Any:
    """A message as a record; its arrays are read-only numpy views of `content`.

    Raises:
        DatasetError: an unknown type, or bytes that are not one.
    """
    try:
        return types.deserialize_cdr(content, msgtype)
    except Exception as error:  # SerdeError, TypesysError, and what its generated code makes of damaged bytes
        raise DatasetError(f"message of type {msgtype} cannot be decoded ({reason_of(error)})") from error


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
    return standard_types().types[IMAGE_TYPE](
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
    return standard_types().types[COMPRESSED_IMAGE_TYPE](header=header(stamp_ns, frame_id), format=kind, data=data)


def camera_info_message(camera: CameraIntrinsics, stamp_ns: int, frame_id: str) -> Any:
    """A sensor_msgs/CameraInfo record of a camera without distortion."""
    types = standard_types().types
    projection = np.zeros((3, 4))
    projection[:, :3] = camera.matrix()
    return types[CAMERA_INFO_TYPE](
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
