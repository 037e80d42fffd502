# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Render sharp rooms with exact depth, to train on (`data.rendered`): NAME/{rgb.jpg, depth.png, meta.json}.

    pip install mitsuba pyoidn
    python docs/render_rooms.py OUT --textures TEXTURES [--furniture DIR] [--rooms 100] [--seed 0]

Path-traced by mitsuba (DRJIT_LIBLLVM_PATH names its LLVM: 19 works, 14 and 15 of Debian 12 abort), denoised with the
surfaces' own colours as a guide, so that textures stay sharp. Rooms hold plain and textured walls, boxes, tables, rods,
and the pieces of an unpacked catalogue of Sweet Home 3D (OBJ files and PluginFurnitureCatalog.properties: real sizes)
where one is given. A room is seen from four places. A room that exists is left out: an interrupted run goes on.
`render_tables.py` beside this file renders tables from close in the same way.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import mitsuba as mi
import numpy as np
import pyoidn
from numpy.typing import NDArray

HEIGHT_PX, WIDTH_PX = 300, 400
PASSES, SAMPLES = 4, 4
"""An image is the mean of passes whose outliers were cut: a few rays that met a small lamp by chance outshine a pass,
and the denoiser would spread them into clouds."""
LARGEST_OVER_MEDIAN = 2.0
"""Brightness of a pixel in one pass over the usual one there."""
VIEWS = 4
LARGEST_OBJ_BYTES = 4_000_000
NEAREST_M = 0.35
Rng = np.random.Generator


@dataclass(frozen=True)
class Piece:
    """A piece of furniture: its OBJ file and its size [m] (width, height, depth)."""

    obj: Path
    size_m: tuple[float, float, float]


@dataclass
class Room:
    """What a scene holds, and the boxes (low, high) [m] that are taken. x right, y up, z to the viewer."""

    size_m: NDArray[np.float64]
    shapes: dict[str, Any] = field(default_factory=dict)
    boxes: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=list)
    look: Callable[[Rng, Room], tuple[list[float], list[float]]] = field(default_factory=lambda: look_at_a_thing)
    """Draws the place of a camera and what it looks at."""
    least_median_m: float = 0.7
    """Views whose median depth is less are drawn anew."""

    def add(self, shape: Any) -> None:
        """Put a shape in."""
        self.shapes[f"shape{len(self.shapes)}"] = shape

    def is_free(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
        """Whether nothing stands in a box."""
        return not any(np.all(low < b) and np.all(a < high) for a, b in self.boxes)


def catalogue(folder: Path) -> list[Piece]:
    """The pieces of all catalogues below a folder whose OBJ file is small enough."""
    pieces = []
    for path in sorted(folder.rglob("PluginFurnitureCatalog.properties")):
        entries: dict[str, dict[str, str]] = {}
        for line in path.read_text("latin-1").splitlines():
            key, _, value = line.partition("=")
            name, _, number = key.partition("#")
            entries.setdefault(number, {})[name] = value.strip()
        for entry in entries.values():
            if not {"model", "width", "height", "depth"} <= entry.keys():
                continue
            obj = path.parent / entry["model"].lstrip("/")
            size_m = tuple(float(entry[side]) / 100 for side in ("width", "height", "depth"))
            if obj.is_file() and obj.stat().st_size < LARGEST_OBJ_BYTES and max(size_m) < 3:
                pieces.append(Piece(obj, size_m))
    return pieces


def surface(rng: Rng, textures: list[Path], tiles: tuple[float, float], plain: float) -> dict[str, Any]:
    """A material: a plain colour, or a photograph repeated `tiles` times."""
    if rng.random() < plain:
        grey, tint = rng.uniform(0.05, 0.9), rng.normal(0, 0.06 if rng.random() < 0.7 else 0.25, 3)
        colour = {"type": "rgb", "value": np.clip(grey + tint, 0.02, 0.95).tolist()}
    else:
        turn = float(rng.choice([0, 90]))
        lie = mi.ScalarTransform3f().rotate(turn).scale([float(tiles[0]), float(tiles[1])])
        colour = {"type": "bitmap", "filename": str(rng.choice(textures)), "to_uv": lie}
    return material(rng, colour)


def material(rng: Rng, colour: dict[str, Any]) -> dict[str, Any]:
    """Mostly matt; some shine."""
    if rng.random() < 0.2:
        inner = {"type": "roughplastic", "diffuse_reflectance": colour, "alpha": float(rng.uniform(0.05, 0.4))}
    else:
        inner = {"type": "diffuse", "reflectance": colour}
    return {"type": "twosided", "bsdf": inner}


def shell(rng: Rng, room: Room, textures: list[Path]) -> None:
    """Floor, ceiling and four walls."""
    move, (w, h, d) = mi.ScalarTransform4f(), room.size_m
    tile_m = np.exp(rng.uniform(np.log(0.3), np.log(1.3)))
    sides = (
        (move.rotate([1, 0, 0], -90).scale([w / 2, d / 2, 1]), (w, d), 0.35),
        (move.translate([0, h, 0]).rotate([1, 0, 0], 90).scale([w / 2, d / 2, 1]), (w, d), 0.9),
        (move.translate([0, h / 2, -d / 2]).scale([w / 2, h / 2, 1]), (w, h), 0.55),
        (move.translate([0, h / 2, d / 2]).rotate([0, 1, 0], 180).scale([w / 2, h / 2, 1]), (w, h), 0.55),
        (move.translate([-w / 2, h / 2, 0]).rotate([0, 1, 0], 90).scale([d / 2, h / 2, 1]), (d, h), 0.55),
        (move.translate([w / 2, h / 2, 0]).rotate([0, 1, 0], -90).scale([d / 2, h / 2, 1]), (d, h), 0.55),
    )
    for pose, (wide_m, high_m), plain in sides:
        tiles = (wide_m / tile_m, high_m / tile_m)
        room.add({"type": "rectangle", "to_world": pose, "bsdf": surface(rng, textures, tiles, plain)})


def lamps(rng: Rng, room: Room) -> None:
    """One to three lamps below the ceiling and a little light from everywhere."""
    w, h, d = room.size_m
    level = float(np.exp(rng.uniform(np.log(0.6), np.log(2.5))))
    for _ in range(rng.integers(1, 4)):
        radius_m = float(np.exp(rng.uniform(np.log(0.05), np.log(0.5))))
        place = [rng.uniform(-0.4, 0.4) * w, h - radius_m - 0.02, rng.uniform(-0.4, 0.4) * d]
        warm = np.clip(1 + np.array([1, 0, -1]) * rng.normal(0, 0.12), 0.5, 1.5)
        light = {"type": "rgb", "value": (level * 1.2 / radius_m**2 * warm).tolist()}
        pose = mi.ScalarTransform4f().translate([float(v) for v in place]).scale(radius_m)
        room.add({"type": "sphere", "to_world": pose, "emitter": {"type": "area", "radiance": light}})
    room.add({"type": "constant", "radiance": {"type": "rgb", "value": 0.15 * level}})


def colours(obj: Path) -> dict[str, dict[str, Any]]:
    """Colour or texture of each material that an OBJ file names."""
    found: dict[str, dict[str, Any]] = {}
    name = ""
    for library in obj.parent.glob("*.mtl"):
        for line in library.read_text("latin-1").splitlines():
            key, _, value = line.strip().partition(" ")
            if key == "newmtl":
                name = value.strip()
            elif key == "Kd" and name not in found:
                rgb = np.clip([float(v) for v in value.split()[:3]], 0.02, 0.9)
                found[name] = {"type": "rgb", "value": rgb.tolist()}
            elif key == "map_Kd" and (obj.parent / value.strip()).is_file():
                found[name] = {"type": "bitmap", "filename": str(obj.parent / value.strip())}
    return found


def parts(obj: Path) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
    """Name of the material, (T, 3, 3) triangles and their (T, 3, 2) texture coordinates, per material."""
    points: list[list[float]] = []
    at: list[list[float]] = []
    faces: dict[str, list[list[tuple[int, int]]]] = {}
    name = ""
    for line in obj.read_text("latin-1").splitlines():
        key, *values = line.split() or [""]
        if key == "v":
            points.append([float(v) for v in values[:3]])
        elif key == "vt":
            at.append([float(v) for v in values[:2]])
        elif key == "usemtl":
            name = " ".join(values)
        elif key == "f":
            ids = [(v.split("/") + [""])[:2] for v in values]
            corners = [(_index(a, len(points)), _index(b, len(at))) for a, b in ids]
            faces.setdefault(name, []).extend([[corners[0], *corners[i : i + 2]] for i in range(1, len(corners) - 1)])
    xyz, uv = np.array(points, np.float32), np.array([*at, [0.0, 0.0]], np.float32)
    for name, triangles in faces.items():
        ids = np.array(triangles)
        yield name, xyz[ids[..., 0]], uv[ids[..., 1]]


def _index(text: str, count: int) -> int:
    if not text:
        return -1
    return int(text) - 1 if int(text) > 0 else count + int(text)


def mesh(triangles: NDArray[np.float32], uv: NDArray[np.float32], bsdf: Any) -> Any:
    """A mitsuba mesh of triangles that share no vertices."""
    properties = mi.Properties()
    properties["bsdf"] = bsdf
    count = triangles.shape[0]
    made = mi.Mesh("part", 3 * count, count, has_vertex_texcoords=True, props=properties)
    values = mi.traverse(made)
    values["vertex_positions"] = triangles.ravel()
    values["vertex_texcoords"] = uv.ravel()
    values["faces"] = np.arange(3 * count, dtype=np.uint32)
    values.update()
    return made


def furnish(rng: Rng, room: Room, pieces: list[Piece], under_m: float, on: float, place: NDArray[np.float64]) -> bool:
    """Set a piece no larger than `under_m` at height `on` about a place, if it is free there."""
    fitting = [piece for piece in pieces if max(piece.size_m) < under_m]
    if not fitting:
        return False
    piece = fitting[rng.integers(len(fitting))]
    try:
        loaded = list(parts(piece.obj))
    except (ValueError, IndexError):
        return False
    if not loaded or sum(triangles.shape[0] for _, triangles, _ in loaded) > 60_000:
        return False
    everything = np.concatenate([triangles.reshape(-1, 3) for _, triangles, _ in loaded])
    low, high = everything.min(0), everything.max(0)
    size = np.array(piece.size_m)
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else rng.choice(4) * np.pi / 2
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    reach = np.abs(turn) @ (size / 2)
    middle = np.array([place[0], on + size[1] / 2, place[1]])
    box = (middle - reach + 1e-3, middle + reach)
    inside = np.all(np.abs(middle[[0, 2]]) + reach[[0, 2]] < room.size_m[[0, 2]] / 2) and box[1][1] < room.size_m[1]
    if not inside or not room.is_free(*box):
        return False
    known = colours(piece.obj)
    for name, triangles, uv in loaded:
        scaled = (triangles - (low + high) / 2) / np.maximum(high - low, 1e-6) * size
        colour = known.get(name, {"type": "rgb", "value": [0.6, 0.6, 0.6]})
        room.add(mesh((scaled @ turn.T + middle).astype(np.float32), uv, mi.load_dict(material(rng, colour))))
    room.boxes.append(box)
    return True


def add_box(
    room: Room, middle: NDArray[np.float64], size: NDArray[np.float64], turned_deg: float, skin: dict[str, Any]
) -> None:
    """A box [m] about its middle, turned about the vertical."""
    pose = mi.ScalarTransform4f().translate(middle.tolist()).rotate([0, 1, 0], turned_deg).scale((size / 2).tolist())
    room.add({"type": "cube", "to_world": pose, "bsdf": skin})


def boxes_and_rods(rng: Rng, room: Room, textures: list[Path]) -> None:
    """Textured boxes on the floor, and thin rods that lean anywhere."""
    w, h, d = room.size_m
    for _ in range(rng.integers(0, 4)):
        size = np.exp(rng.uniform(np.log(0.15), np.log(1.2), 3))
        place = np.array([rng.uniform(-0.4, 0.4) * w, size[1] / 2, rng.uniform(-0.45, 0.4) * d])
        if room.is_free(place - size / 2 + 1e-3, place + size / 2):
            turned_deg = float(rng.uniform(0, 30))
            skin = surface(rng, textures, (float(rng.integers(1, 3)),) * 2, 0.45)
            add_box(room, place, size, turned_deg, skin)
            room.boxes.append((place - size / 2, place + size / 2))
    for _ in range(rng.integers(0, 4)):
        ends = [[float(v) for v in (rng.uniform(-0.4, 0.4) * w, y, rng.uniform(-0.4, 0.4) * d)] for y in (0, h)]
        radius_m = float(np.exp(rng.uniform(np.log(0.002), np.log(0.025))))
        skin = surface(rng, textures, (1.0, 1.0), 0.9)
        room.add({"type": "cylinder", "p0": ends[0], "p1": ends[1], "radius": radius_m, "bsdf": skin})


def random_room(rng: Rng, textures: list[Path], pieces: list[Piece]) -> Room:
    """A room with furniture on its floor and things on the furniture."""
    room = Room(np.array([rng.uniform(2.2, 6.5), rng.uniform(2.3, 3.2), rng.uniform(2.5, 7.5)]))
    shell(rng, room, textures)
    lamps(rng, room)
    boxes_and_rods(rng, room, textures)
    for _ in range(rng.integers(4, 16)):
        spread = room.size_m[[0, 2]] * rng.uniform(-0.48, 0.48, 2)
        furnish(rng, room, pieces, 3.0, 0.0, spread)
    for low, high in list(room.boxes):
        if 0.25 < high[1] < 1.3:
            for _ in range(rng.integers(0, 5)):
                furnish(rng, room, pieces, 0.5, float(high[1]), rng.uniform(low[[0, 2]], high[[0, 2]]))
    return room


def look_at_a_thing(rng: Rng, room: Room) -> tuple[list[float], list[float]]:
    """Place of the camera and what it looks at: a thing, from a robot's or a person's height."""
    w, h, d = room.size_m
    for _ in range(50):
        across, along = rng.uniform(-0.45, 0.45, 2)
        eye = np.array([across * w, rng.uniform(0.25, min(1.8, h - 0.3)), along * d])
        if not room.is_free(eye - 0.2, eye + 0.2):
            continue
        low, high = room.boxes[rng.integers(len(room.boxes))] if room.boxes else (np.zeros(3), room.size_m / 4)
        target = rng.uniform(low, high)
        if np.linalg.norm(target - eye) > 0.6:
            return eye.tolist(), target.tolist()
    return [0.0, 1.0, 0.4 * d], [0.0, 0.8, -0.4 * d]


def view(rng: Rng, scene: Any, room: Room, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16], float] | None:
    """Image (BGR), depth [mm] and fx [px] of one camera; None where something stands before its lens."""
    eye, target = room.look(rng, room)
    fov_deg = float(rng.uniform(38, 62))
    pose = mi.ScalarTransform4f().look_at(origin=eye, target=target, up=[float(rng.normal(0, 0.03)), 1, 0])
    film = {"type": "hdrfilm", "width": WIDTH_PX, "height": HEIGHT_PX, "rfilter": {"type": "box"}}
    film["pixel_format"] = "rgb"
    sensor = mi.load_dict({
        "type": "perspective", "fov": fov_deg, "fov_axis": "x", "to_world": pose, "film": film, "near_clip": 0.01,
        "sampler": {"type": "independent"},
    })  # fmt: skip
    fx = WIDTH_PX / 2 / np.tan(np.radians(fov_deg) / 2)
    depth_m = z_depth(scene, pose, fx)
    if np.quantile(depth_m, 0.02) < NEAREST_M or np.median(depth_m) < room.least_median_m:
        return None
    guide = {"type": "aov", "aovs": "colour:albedo,normal:sh_normal", "inner": {"type": "path", "max_depth": 4}}
    integrator = mi.load_dict(guide)
    passes = [
        np.array(mi.render(scene, sensor=sensor, integrator=integrator, spp=SAMPLES, seed=PASSES * seed + number))
        for number in range(PASSES)
    ]
    layers = np.mean(passes, axis=0)
    albedo, normal = (np.ascontiguousarray(layers[..., i : i + 3], np.float32) for i in (3, 6))
    rgb = without_outliers(np.stack([layers[..., :3] for layers in passes]))
    clean = np.maximum(np.asarray(pyoidn.denoise(rgb, albedo=np.clip(albedo, 0, 1), normal=normal, hdr=True)), 0)
    exposed = clean * exposure(rng, clean)
    srgb = np.where(exposed < 0.0031308, 12.92 * exposed, 1.055 * np.maximum(exposed, 1e-9) ** (1 / 2.4) - 0.055)
    image = (255 * np.clip(srgb, 0, 1) + 0.5).astype(np.uint8)[..., ::-1]
    return np.ascontiguousarray(image), np.clip(1000 * depth_m, 0, 65534).astype(np.uint16), float(fx)


def without_outliers(passes_PHW3: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the passes, none brighter than twice the median of the pixel and its neighbours in all passes."""
    brightness = passes_PHW3.mean(-1)
    usual = cv2.medianBlur(np.ascontiguousarray(np.median(brightness, axis=0), np.float32), 5)
    limit = LARGEST_OVER_MEDIAN * np.maximum(np.median(brightness, axis=0), usual) + 1e-3
    scale = np.minimum(1.0, limit / np.maximum(brightness, 1e-9))
    return np.ascontiguousarray((passes_PHW3 * scale[..., None]).mean(0), np.float32)


def exposure(rng: Rng, light_HW3: NDArray[np.float32]) -> float:
    """Factor to the film: a middle grey, and less where a tenth of the image would be white."""
    middle, bright = np.quantile(light_HW3, [0.5, 0.9])
    return float(min(rng.uniform(0.18, 0.5) / max(middle, 1e-4), rng.uniform(0.8, 1.5) / max(bright, 1e-4)))


def z_depth(scene: Any, pose: Any, fx: float) -> NDArray[np.float64]:
    """Depth [m] along the optical axis, one ray through each pixel centre: edges are never mixed."""
    u, v = np.meshgrid(np.arange(WIDTH_PX) + 0.5 - WIDTH_PX / 2, np.arange(HEIGHT_PX) + 0.5 - HEIGHT_PX / 2)
    away = np.stack([-u / fx, -v / fx, np.ones_like(u)], -1).reshape(-1, 3)  # the camera's x points left in mitsuba
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    matrix = np.array(pose.matrix)
    world = (away @ matrix[:3, :3].T).T.astype(np.float32)
    origin = np.repeat(matrix[:3, 3:4], world.shape[1], 1).astype(np.float32)
    hit = scene.ray_intersect(mi.Ray3f(mi.Point3f(origin), mi.Vector3f(world)))
    distance = np.where(np.isfinite(np.array(hit.t)), np.array(hit.t), 0.0)
    return (distance * away[:, 2]).reshape(HEIGHT_PX, WIDTH_PX)


Build = Callable[[Rng, list[Path], list[Piece]], Room]


def main(about: str | None, build: Build, views: int, prefix: str = "") -> int:
    """Render `views` images of each scene that `build` makes of textures and pieces; `prefix` begins their names."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--textures", type=Path, required=True)
    parser.add_argument("--furniture", type=Path)
    parser.add_argument("--rooms", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variant", default="llvm_ad_rgb")
    args = parser.parse_args()
    mi.set_variant(args.variant)
    textures = sorted(path for path in args.textures.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    pieces = catalogue(args.furniture) if args.furniture else []
    print(f"{len(textures)} textures, {len(pieces)} pieces of furniture", flush=True)
    for number in range(args.rooms):
        folders = [args.out / f"{prefix}{args.seed:03d}{number:05d}{index}" for index in range(views)]
        if not folders[-1].exists():
            rng = np.random.default_rng((args.seed, number))
            render(rng, build(rng, textures, pieces), folders)
            print(f"scene {number} of {args.rooms}", flush=True)
    return 0


def render(rng: Rng, room: Room, folders: Sequence[Path]) -> None:
    """One view for each folder; none where no free one is found."""
    scene = mi.load_dict({"type": "scene", **room.shapes})
    for index, folder in enumerate(folders):
        seen = next(filter(None, (view(rng, scene, room, index) for _ in range(12))), None)
        if seen is not None:
            write(folder, *seen)


def write(folder: Path, image: NDArray[np.uint8], depth_mm: NDArray[np.uint16], fx: float) -> None:
    """One frame; its name appears when it is whole."""
    temporary = folder.with_name(folder.name + ".part")
    temporary.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(temporary / "rgb.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    cv2.imwrite(str(temporary / "depth.png"), depth_mm)
    camera = {"fx": fx, "fy": fx, "cx": WIDTH_PX / 2, "cy": HEIGHT_PX / 2}
    (temporary / "meta.json").write_text(json.dumps(camera), "utf-8")
    temporary.rename(folder)


if __name__ == "__main__":
    sys.exit(main(__doc__, random_room, VIEWS))
