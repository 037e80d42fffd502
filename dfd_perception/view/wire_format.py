# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What goes over the wire. One frame is one binary message.

    4 bytes    length of the header, little-endian
    header     JSON: stamp, size, camera, range, and for each part its name, kind, offset and length
    parts      JPEG of an image; or uint16 (little-endian) of a map, value = number x `unit`, 0 for none; each begins at
               a multiple of 4 bytes

The page colours the maps itself, so that the value under the cursor is the map's and not that of a colour. Maps larger
than the page asks for are thinned by taking every `step`-th pixel, never averaged: what is left is exact.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.colormap import ColourScale, Palette, blur_scale, scene_depth_scale, std_scale
from dfd_perception.core.image_bytes import jpeg_bytes
from dfd_perception.view.frame_slot import FrameSlot, Status, ViewFrame

JPEG_QUALITY = 88
LARGEST_NUMBER = 65535
UNITS = {"depth": "m", "std": "m", "measured": "m", "blur": "px"}
METRIC_MAPS = ("depth", "measured")
Packed = tuple[dict[str, Any], bytes]


def frame_message(frame: ViewFrame, wanted: frozenset[str], side_px: int) -> bytes:
    """A frame as one binary message.

    Args:
        wanted: names of the parts that are on the screen; the scales of the scene are told in any case.
        side_px: longest side of an image or map; larger ones are made smaller.
    """
    parts: list[Packed] = []
    for name, image in frame.images.items():
        if name in wanted:
            parts.append(_once(frame, (name, side_px), lambda image=image: _packed_image(image, side_px)))
    for name, values in frame.maps.items():
        if name in wanted:
            parts.append(_once(frame, (name, side_px), lambda values=values: _packed_map(values, side_px)))
    names = [n for n in (*frame.images, *frame.maps) if n in wanted]
    described, offset = [], 0
    for name, (facts, content) in zip(names, parts, strict=True):
        described.append({"name": name, "offset": offset, "length": len(content), **facts})
        offset += len(content) + _gap(len(content))
    header = {
        "number": frame.number,
        "stamp_ns": str(frame.stamp_ns),
        "name": frame.name,
        "has": [*frame.images, *frame.maps],
        "age_s": frame.age_s,
        "scales": _once(frame, "scales", lambda: _scales(frame)),
        "camera": _camera(frame),
        "parts": described,
    }
    text = json.dumps(header).encode()
    text += b" " * _gap(len(text))
    padded = [content + b"\0" * _gap(len(content)) for _, content in parts]
    return b"".join([len(text).to_bytes(4, "little"), text, *padded])


def hello_message(title: str, controls: tuple[str, ...], slot: FrameSlot) -> str:
    """The first message to a page: what it shows, the colours, and the plots so far."""
    return json.dumps(
        {
            "hello": {
                "title": title,
                "controls": list(controls),
                "units": UNITS,
                "palettes": _palettes(),
                "history": [{"t": status.time_s, **status.series} for status in slot.history],
            }
        }
    )


def status_message(status: Status) -> str:
    """A status as JSON text."""
    return json.dumps(
        {
            "status": {
                "level": status.level,
                "message": status.message,
                "values": list(status.values.items()),
                "series": {"t": status.time_s, **status.series} if status.series else None,
            }
        }
    )


def _once(frame: ViewFrame, key: Any, pack: Any) -> Any:
    """Pack a part once, however many look."""
    with frame.lock:
        if key not in frame.packed:
            frame.packed[key] = pack()
        return frame.packed[key]


def _packed_image(image_rgb: NDArray[np.uint8], side_px: int) -> Packed:
    height, width = image_rgb.shape[:2]
    scale = side_px / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image_rgb = cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA)
    return {"kind": "jpeg", "width": width, "height": height}, jpeg_bytes(image_rgb, JPEG_QUALITY)


def _packed_map(values: NDArray[np.float32], side_px: int) -> Packed:
    height, width = values.shape
    step = -(-max(height, width) // side_px)
    thinned = values[::step, ::step]
    numbers, unit = quantised(thinned)
    facts = {"kind": "uint16", "width": thinned.shape[1], "height": thinned.shape[0], "step": step, "unit": unit}
    return {**facts, "full_width": width, "full_height": height}, numbers.astype("<u2").tobytes()


def _gap(length: int) -> int:
    """Bytes to the next multiple of 4, where the page can lay an array over the message."""
    return -length % 4


def quantised(values: NDArray[np.float32]) -> tuple[NDArray[np.uint16], float]:
    """Numbers and their unit: values / unit, rounded; at least 1 for a value that is there, 0 for none.

    The unit is 1/65535 of the largest value: 0.15 mm for a scene that reaches 10 m.
    """
    there = np.isfinite(values) & (values >= 0)
    largest = float(values[there].max()) if there.any() else 0.0
    unit = largest / LARGEST_NUMBER if largest > 0 else 1.0
    numbers = np.clip(np.rint(np.where(there, values, 0) / unit), 1, LARGEST_NUMBER)
    return np.where(there, numbers, 0).astype(np.uint16), unit


def _scales(frame: ViewFrame) -> dict[str, dict[str, Any]]:
    """For each map the colours that files and reports would use; depth and what was measured share theirs."""
    scales: dict[str, ColourScale] = {}
    metric = [frame.maps[name] for name in METRIC_MAPS if name in frame.maps]
    for name, values in frame.maps.items():
        if name in METRIC_MAPS:
            scales[name] = scene_depth_scale(*metric)
        else:
            scales[name] = std_scale(values) if name == "std" else blur_scale(values)
    return {n: {"low": s.low, "high": s.high, "logarithmic": s.logarithmic} for n, s in scales.items()}


def _camera(frame: ViewFrame) -> dict[str, float] | None:
    camera, depth = frame.camera, frame.maps.get("depth")
    if camera is None or depth is None or depth.shape != (camera.height, camera.width):
        return None
    return {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy}


def _palettes() -> dict[str, str]:
    """256 RGB triples in base64 for each kind of map; depth from near (red) to far."""
    values = np.linspace(1.0, 2.0, 256, dtype=np.float32)[None]
    kinds: tuple[Palette, ...] = ("depth", "blur", "std")
    tables = {kind: ColourScale(1.0, 2.0, palette=kind).colours(values)[0] for kind in kinds}
    return {name: base64.b64encode(np.ascontiguousarray(table).tobytes()).decode() for name, table in tables.items()}
