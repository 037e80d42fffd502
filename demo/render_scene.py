# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Render the still life of `make demo` through a thin lens: path traced, so that the blur is that of a real aperture.

    pip install mitsuba==3.9.1
    python demo/render_scene.py OUT

OUT gets defocused.png (through the lens of demo/lens.yaml), aif.png (through a pinhole at the same place), depth.png
(uint16 mm, one ray through each pixel centre) and meta.json. Shapes and textures are drawn by this file: nothing is
taken from elsewhere. It takes some minutes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import mitsuba as mi
import numpy as np
from numpy.typing import NDArray

from dfd_perception.files.lens_file import read_lens

WIDTH, HEIGHT, FX_PX = 640, 480, 525.0
SAMPLES = 100
ORIGIN, TARGET = (0.0, -0.05, 0.26), (0.0, 1.0, 0.165)
FONT = cv2.FONT_HERSHEY_DUPLEX

Rgb = NDArray[np.uint8]


def main() -> None:
    """Render both images and the depth."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    mi.set_variant("scalar_rgb")
    lens = read_lens(Path(__file__).parent / "lens.yaml")
    assert lens.focal_length_mm is not None
    assert lens.f_number is not None
    radius_m = lens.focal_length_mm / lens.f_number / 2e3
    content = still_life()
    scene = mi.load_dict(content)
    thin_lens = {"type": "thinlens", "aperture_radius": radius_m, "focus_distance": lens.focus_distance_m}
    for name, kind in (("defocused", thin_lens), ("aif", {"type": "perspective"})):
        image = mi.render(scene, sensor=mi.load_dict(sensor(kind)), spp=SAMPLES, seed=1)
        linear = np.clip(np.array(image), 0, 1)
        encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        cv2.imwrite(str(out / f"{name}.png"), np.rint(encoded * 255).astype(np.uint8)[..., ::-1])
    cv2.imwrite(str(out / "depth.png"), np.rint(depth_m(scene) * 1e3).astype(np.uint16))
    meta = {"fx": FX_PX, "fy": FX_PX, "cx": (WIDTH - 1) / 2, "cy": (HEIGHT - 1) / 2}
    (out / "meta.json").write_text(json.dumps(meta) + "\n", "utf-8")


def camera_to_world() -> Any:
    """Where the camera stands: z forward, x left, y up, as mitsuba has it."""
    return mi.ScalarTransform4f().look_at(origin=ORIGIN, target=TARGET, up=(0, 0, 1))


def sensor(kind: dict[str, Any]) -> dict[str, Any]:
    """A camera of FX_PX: through a lens, or a pinhole."""
    return kind | {
        "fov": float(np.degrees(2 * np.arctan(WIDTH / 2 / FX_PX))),
        "fov_axis": "x",
        "to_world": camera_to_world(),
        "film": {"type": "hdrfilm", "width": WIDTH, "height": HEIGHT, "rfilter": {"type": "box"}},
        "sampler": {"type": "stratified"},
    }


def depth_m(scene: Any) -> NDArray[np.float64]:
    """(H, W) z-depth [m] along the optical axis."""
    v, u = np.mgrid[:HEIGHT, :WIDTH].reshape(2, -1)
    local = np.stack([-(u - (WIDTH - 1) / 2) / FX_PX, -(v - (HEIGHT - 1) / 2) / FX_PX, np.ones(u.size)])
    length = np.linalg.norm(local, axis=0)
    world = np.array(camera_to_world().matrix)[:3, :3] @ (local / length)
    distance = np.array([scene.ray_intersect(mi.Ray3f(ORIGIN, direction)).t for direction in world.T.tolist()])
    return (distance / length).reshape(HEIGHT, WIDTH)


def still_life() -> dict[str, Any]:
    """A table with things at 0.7 to 1.6 m before shelves of books at 2.2 m."""
    rng = np.random.default_rng(3)
    move = mi.ScalarTransform4f
    content: dict[str, Any] = {"type": "scene", "integrator": {"type": "path", "max_depth": 2}}
    content["sky"] = {"type": "constant", "radiance": {"type": "rgb", "value": [0.62, 0.64, 0.66]}}
    content["lamp"] = {
        "type": "point",
        "position": (-0.9, -0.1, 1.9),
        "intensity": {"type": "rgb", "value": [3.4, 3.2, 2.9]},
    }
    content["table"] = rectangle(planks(rng), move().translate((0, 1.1, 0)).scale((1.5, 1.1, 1)))
    shelves = move().translate((0, 2.2, 0.6)).rotate((1, 0, 0), 90).scale((2.2, 1.3, 1))
    content["shelves"] = rectangle(books(rng), shelves)
    content["tea"] = box(label("TEA", (36, 96, 60), rng), (-0.17, 0.76, 0.0), (0.065, 0.035, 0.10), 18)
    content["oats"] = box(label("OATS", (178, 42, 36), rng), (0.09, 1.02, 0.0), (0.10, 0.035, 0.15), -14)
    content["soap"] = box(label("SOAP", (40, 70, 150), rng), (-0.34, 1.36, 0.0), (0.12, 0.05, 0.17), 28)
    content["rice"] = box(label("RICE", (206, 168, 60), rng), (0.55, 1.62, 0.0), (0.13, 0.06, 0.19), -24)
    content["can"] = {
        "type": "cylinder", "p0": (0.21, 0.74, 0.0), "p1": (0.21, 0.74, 0.14), "radius": 0.048,
        "bsdf": surface(np.hstack([label("BEANS", (190, 90, 30), rng)] * 3)),
    }  # fmt: skip
    content["lid"] = {
        "type": "disk",
        "to_world": move().translate((0.21, 0.74, 0.14)).scale(0.048),
        "bsdf": {"type": "roughconductor", "alpha": 0.3},
    }
    content["ball"] = {"type": "sphere", "center": (-0.04, 1.42, 0.10), "radius": 0.10, "bsdf": surface(checks())}
    content["rod"] = {
        "type": "cylinder", "p0": (-0.02, 0.86, 0.0), "p1": (-0.07, 0.86, 0.36), "radius": 0.006,
        "bsdf": surface(np.full((4, 4, 3), (226, 124, 96), np.uint8)),
    }  # fmt: skip
    return content


def surface(texture: Rgb, repeat: tuple[float, float] = (1, 1)) -> dict[str, Any]:
    """Matt, with a texture; `repeat` tiles it."""
    bitmap = {
        "type": "bitmap",
        "bitmap": mi.Bitmap(np.ascontiguousarray(texture[::-1])),
        "to_uv": mi.ScalarTransform4f().scale((repeat[0], repeat[1], 1)),
    }
    return {"type": "twosided", "b": {"type": "diffuse", "reflectance": bitmap}}


def rectangle(texture: Rgb, to_world: Any, repeat: tuple[float, float] = (1, 1)) -> dict[str, Any]:
    """A textured plane."""
    return {"type": "rectangle", "to_world": to_world, "bsdf": surface(texture, repeat)}


def box(
    texture: Rgb, place: tuple[float, float, float], half: tuple[float, float, float], turn_deg: float
) -> dict[str, Any]:
    """A textured box that stands on z = 0 at (x, y), of half sizes [m]."""
    x, y, _ = place
    # The cube's faces carry the texture upright when its own z is the view's depth.
    to_world = (
        mi.ScalarTransform4f().translate((x, y, half[2])).rotate((0, 0, 1), turn_deg).rotate((1, 0, 0), 90)
        .scale((half[0], half[2], half[1]))
    )  # fmt: skip
    # A cube's faces have u upright and v across.
    return {"type": "cube", "to_world": to_world, "bsdf": surface(np.rot90(texture[:, ::-1], 3))}


def grain(shape: tuple[int, int], scales: tuple[tuple[float, float], ...], rng: np.random.Generator) -> NDArray[Any]:
    """(H, W) noise of unit deviation: the sum of white noise smoothed by (sigma y, sigma x)."""
    total = np.zeros(shape)
    for sigma_y, sigma_x in scales:
        layer = cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), sigmaX=sigma_x, sigmaY=sigma_y)
        total += layer / layer.std()
    return total / total.std()


def toned(base_rgb: tuple[int, int, int], relief: NDArray[Any], depth: float) -> Rgb:
    """A colour made lighter and darker by a relief."""
    return np.clip(np.array(base_rgb) * (1 + depth * relief[..., None]), 0, 255).astype(np.uint8)


def planks(rng: np.random.Generator) -> Rgb:
    """Wooden planks along the view."""
    image = toned((168, 120, 78), grain((2048, 2048), ((60, 2), (200, 6), (1, 1)), rng), 0.16)
    for number, x in enumerate(range(0, 2048, 256)):
        image[:, x : x + 256] = np.clip(image[:, x : x + 256] * (0.86 + 0.05 * (number * 5 % 7)), 0, 255)
        image[:, x : x + 5] //= 3
    return image


def books(rng: np.random.Generator) -> Rgb:
    """Eight shelves of books: spines of many colours, each with a few lines of print."""
    image = np.full((1024, 2048, 3), (70, 48, 34), np.uint8)
    for bottom in range(116, 1024, 128):
        x = 4
        while x < 2040:
            width, height = int(rng.integers(10, 34)), int(rng.integers(76, 110))
            hsv = (int(rng.integers(0, 180)), int(rng.integers(40, 180)), int(rng.integers(60, 220)))
            red, green, blue = (int(v) for v in cv2.cvtColor(np.array([[hsv]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0])
            spine = image[bottom - height : bottom, x : min(2047, x + width - 1)]
            spine[:] = toned((red, green, blue), grain(spine.shape[:2], ((1, 1), (4, 4)), rng), 0.06)
            print_rgb = (min(255, red + 90), min(255, green + 90), min(255, blue + 90))
            for y in range(bottom - height + 10, bottom - 12, 5):
                if rng.random() < 0.6:
                    cv2.line(image, (x + 3, y), (x + width - 5, y), print_rgb, 2)
            x += width
    return image


def label(text: str, base_rgb: tuple[int, int, int], rng: np.random.Generator) -> Rgb:
    """A printed packet: a name, a band, small print."""
    image = toned(base_rgb, grain((512, 384), ((1, 1), (6, 6)), rng), 0.06)
    cv2.rectangle(image, (24, 70), (360, 220), (238, 232, 218), -1)
    (width, _), _ = cv2.getTextSize(text, FONT, 3.0, 9)
    scale = 3.0 * min(1.0, 310 / width)
    (width, height), _ = cv2.getTextSize(text, FONT, scale, 9)
    cv2.putText(image, text, ((384 - width) // 2, 145 + height // 2), FONT, scale, base_rgb, 9, cv2.LINE_AA)
    for line in range(11):
        words = "".join(chr(97 + c) if c < 22 else " " for c in rng.integers(0, 26, 30))
        cv2.putText(image, words, (26, 262 + line * 20), FONT, 0.55, (240, 238, 230), 1, cv2.LINE_AA)
    cv2.circle(image, (60, 40), 20, (250, 214, 60), -1)
    cv2.line(image, (0, 236), (384, 236), (250, 214, 60), 4)
    return image


def checks() -> Rgb:
    """Squares for the ball."""
    squares = np.indices((16, 32)).sum(0) % 2
    colours = np.array([(226, 222, 212), (34, 84, 150)], np.uint8)[squares]
    return cv2.resize(colours, (1024, 512), interpolation=cv2.INTER_NEAREST)


if __name__ == "__main__":
    main()
