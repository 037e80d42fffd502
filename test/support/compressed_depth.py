# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Depth packed as compressed_depth_image_transport does: an encoder of our own, written after the paper of RVL."""

from __future__ import annotations

import struct

import cv2
import numpy as np

NO_QUANTISATION = struct.pack("<iff", 0, 0.0, 0.0)


def rvl(codes: np.ndarray) -> bytes:
    """Columns, rows and the stream, number by number as the paper's listing has it."""
    nibbles: list[int] = []

    def number(value: int) -> None:
        while True:
            part, value = value & 7, value >> 3
            nibbles.append(part | (8 if value else 0))
            if not value:
                return

    flat, place, previous = codes.reshape(-1).astype(int).tolist(), 0, 0
    while place < len(flat):
        start = place
        while place < len(flat) and flat[place] == 0:
            place += 1
        number(place - start)
        start = place
        while place < len(flat) and flat[place] != 0:
            place += 1
        number(place - start)
        for value in flat[start:place]:
            delta, previous = value - previous, value
            number((delta << 1) ^ (delta >> 31))
    nibbles += [0] * (-len(nibbles) % 8)
    words = [int("".join(f"{n:x}" for n in nibbles[i : i + 8]), 16) for i in range(0, len(nibbles), 8)]
    return struct.pack("<II", codes.shape[1], codes.shape[0]) + struct.pack(f"<{len(words)}I", *words)


def png(codes: np.ndarray) -> bytes:
    return cv2.imencode(".png", codes)[1].tobytes()
