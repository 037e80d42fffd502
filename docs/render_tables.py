# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Render sharp tables from close with exact depth, as `render_rooms.py` renders rooms, to train on beside them.

    python docs/render_tables.py OUT --textures TEXTURES [--furniture DIR] [--rooms 100] [--seed 1]

Boxes, cans, balls and pieces of the catalogue stand on them, and furniture around. Each is seen twice.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import mitsuba as mi
import numpy as np
from numpy.typing import NDArray
from render_rooms import Piece, Rng, Room, add_box, furnish, lamps, main, shell, surface

VIEWS = 2


def random_table(rng: Rng, textures: list[Path], pieces: list[Piece]) -> Room:
    """A room with a table that is looked at from close."""
    room = Room(np.array([rng.uniform(2.2, 5.5), rng.uniform(2.3, 3.2), rng.uniform(2.2, 5.5)]))
    shell(rng, room, textures)
    lamps(rng, room)
    set_table(rng, room, textures, pieces)
    for _ in range(rng.integers(1, 7)):
        furnish(rng, room, pieces, 3.0, 0.0, room.size_m[[0, 2]] * rng.uniform(-0.48, 0.48, 2))
    return room


def set_table(rng: Rng, room: Room, textures: list[Path], pieces: list[Piece]) -> None:
    """A table, half of them at the wall, with things in a heap on it."""
    width_m, depth_m, thick_m = rng.uniform(0.7, 1.8), rng.uniform(0.6, 1.1), rng.uniform(0.02, 0.06)
    top_m, half = rng.uniform(0.55, 1.0), np.array([width_m, depth_m]) / 2
    limit = room.size_m[[0, 2]] / 2 - half - 0.02
    x, z = rng.uniform(-limit, limit)
    z = -limit[1] if rng.random() < 0.5 else z
    tiles = (width_m / rng.uniform(0.3, 1.2), depth_m / rng.uniform(0.3, 1.2))
    size = np.array([width_m, thick_m, depth_m])
    add_box(room, np.array([x, top_m - thick_m / 2, z]), size, 0.0, surface(rng, textures, tiles, 0.5))
    leg = surface(rng, textures, (1.0, 1.0), 0.9)
    for across in (-1, 1):
        for along in (-1, 1):
            foot = np.array([x, 0, z]) + np.array([across, 0, along]) * (half[0] - 0.05, 0, half[1] - 0.05)
            size = np.array([0.05, top_m - thick_m, 0.05])
            add_box(room, foot + [0, size[1] / 2, 0], size, 0.0, leg)
    low, high = np.array([x - half[0], 0, z - half[1]]), np.array([x + half[0], top_m, z + half[1]])
    room.boxes.append((low, high))
    heap = rng.uniform(low[[0, 2]] + 0.15, high[[0, 2]] - 0.15)
    room.look = partial(look_from_close, np.array([heap[0], top_m, heap[1]]))
    room.least_median_m = 0.5
    for _ in range(rng.integers(3, 14)):
        place = np.clip(heap + rng.normal(0, 0.22, 2), low[[0, 2]], high[[0, 2]])
        if rng.random() < 0.45:
            furnish(rng, room, pieces, float(rng.choice([0.25, 0.45])), float(top_m), place)
        else:
            set_simple_thing(rng, room, textures, np.array([place[0], top_m, place[1]]))


def set_simple_thing(rng: Rng, room: Room, textures: list[Path], foot: NDArray[np.float64]) -> None:
    """A box, a can or a ball, if its place is free."""
    kind = rng.choice(["box", "can", "ball"], p=[0.55, 0.3, 0.15])
    if kind == "box":
        size = np.exp(rng.uniform(np.log(0.05), np.log(0.3), 3))
    else:
        size = np.full(3, 2 * rng.uniform(0.025, 0.08))
        size[1] = np.exp(rng.uniform(np.log(0.06), np.log(0.3))) if kind == "can" else size[0]
    middle = foot + [0, size[1] / 2, 0]
    taken = (middle - size / 2 + 1e-3, middle + size / 2)
    if not room.is_free(*taken):
        return
    room.boxes.append(taken)
    move, radius_m = mi.ScalarTransform4f(), float(size[0] / 2)
    if kind == "box":
        skin = surface(rng, textures, (float(rng.integers(1, 3)),) * 2, 0.4)
        add_box(room, middle, size, float(rng.uniform(0, 90)), skin)
    elif kind == "ball":
        skin = surface(rng, textures, (2.0, 1.0), 0.6)
        room.add({"type": "sphere", "to_world": move.translate(middle.tolist()).scale(radius_m), "bsdf": skin})
    else:
        end = (foot + [0, size[1], 0]).tolist()
        skin, lid = surface(rng, textures, (2.0, 1.0), 0.4), surface(rng, textures, (1.0, 1.0), 0.8)
        room.add({"type": "cylinder", "p0": foot.tolist(), "p1": end, "radius": radius_m, "bsdf": skin})
        pose = move.translate(end).rotate([1, 0, 0], -90).scale(radius_m)
        room.add({"type": "disk", "to_world": pose, "bsdf": lid})


def look_from_close(middle_m: NDArray[np.float64], rng: Rng, room: Room) -> tuple[list[float], list[float]]:
    """Place of the camera, 0.55 to 1.5 m from what it looks at and above it."""
    for _ in range(50):
        distance_m = np.exp(rng.uniform(np.log(0.55), np.log(1.5)))
        up, round_about = np.radians(rng.uniform(12, 60)), rng.normal(0, 0.7)
        away = np.array([np.sin(round_about) * np.cos(up), np.sin(up), np.cos(round_about) * np.cos(up)])
        target = middle_m + [rng.normal(0, 0.08), rng.uniform(0, 0.12), rng.normal(0, 0.08)]
        eye = target + distance_m * away
        inside = np.all(np.abs(eye[[0, 2]]) < room.size_m[[0, 2]] / 2 - 0.05) and eye[1] < room.size_m[1] - 0.1
        if inside and room.is_free(eye - 0.1, eye + 0.1):
            return eye.tolist(), target.tolist()
    return [0.0, 1.0, float(0.4 * room.size_m[2])], middle_m.tolist()


if __name__ == "__main__":
    sys.exit(main(__doc__, random_table, VIEWS, "t"))
