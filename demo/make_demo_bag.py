# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Make the bag of `make demo`: scenes seen through a wide-open lens, under a window that pans slowly.

    python demo/render_scene.py SOURCE/still_life
    python demo/make_demo_bag.py SOURCE demo

SOURCE holds still_life/, which was rendered through the lens, and pcl_milk_clorox/ (rgb.png, depth.png in uint16 mm,
meta.json; where it comes from and under which licence stands in demo/README.md), which is blurred here. The lens is
that of demo/lens.yaml for both.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.bags.messages import camera_info_message, compressed_image_message, image_message
from dfd_perception.bags.writer import BagWriter
from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.depth_encoding import depth_m_from_uint16_mm
from dfd_perception.core.holes import filled_from_nearest
from dfd_perception.core.layered_blur import blur_layers
from dfd_perception.core.sensor import SensorNoise, encoded_from_linear, linear_from_encoded, uint8_from_encoded
from dfd_perception.files.lens_file import LensDescription, read_lens

WINDOW = (352, 448)
FRAMES_PER_SCENE = 12
PERIOD_NS = 250_000_000
START_NS = 1_700_000_000_000_000_000
JPEG_QUALITY = 95
NOISE = SensorNoise(full_well_e=8000, read_noise=0.002)
FRAME_ID = "camera_optical_frame"


@dataclass(frozen=True)
class Scene:
    """An image and the path of the window over it: upper left corners (x, y) [px] at the first and last frame."""

    name: str
    start: tuple[int, int]
    end: tuple[int, int]


# Nothing under the windows is nearer than the lens is focused.
SCENES = (
    Scene("still_life", (60, 50), (184, 58)),
    Scene("pcl_milk_clorox", (128, 0), (176, 12)),
)


def main() -> None:
    """Write OUT/scene_bag."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="RGBD_FOLDER")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder that holds lens.yaml and gets scene_bag/")
    args = parser.parse_args()
    lens = read_lens(args.out / "lens.yaml")
    bag_path = args.out / "scene_bag"
    shutil.rmtree(bag_path, ignore_errors=True)
    rng = np.random.default_rng(0)
    stamp_ns = START_NS
    with BagWriter(bag_path, compression="storage") as bag:
        for scene in SCENES:
            stamp_ns = write_scene(bag, args.source / scene.name, scene, lens, stamp_ns, rng)
    size = sum(path.stat().st_size for path in bag_path.iterdir())
    print(f"{bag_path}: {bag.count} messages, {size / 1e6:.1f} MB")


def write_scene(
    bag: BagWriter, folder: Path, scene: Scene, lens: LensDescription, stamp_ns: int, rng: np.random.Generator
) -> int:
    """Write the frames of one scene; returns the stamp of the next frame."""
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    depth_mm = cv2.imread(str(folder / "depth.png"), cv2.IMREAD_UNCHANGED)
    height, width = depth_mm.shape
    camera = CameraIntrinsics(width=width, height=height, fx=meta["fx"], fy=meta["fy"], cx=meta["cx"], cy=meta["cy"])
    if (folder / "defocused.png").is_file():
        sharp, light = read_rgb(folder / "aif.png"), linear(read_rgb(folder / "defocused.png"))
    else:
        sharp = read_rgb(folder / "rgb.png")
        depth_m = depth_m_from_uint16_mm(filled_from_nearest(depth_mm, depth_mm > 0))
        coc_px = lens.curve(camera.fx).signed_coc_px(depth_m).astype(np.float32)
        light = blur_layers(linear(sharp), coc_px)
    for number in range(FRAMES_PER_SCENE):
        part = number / (FRAMES_PER_SCENE - 1)
        x, y = (round(a + (b - a) * part) for a, b in zip(scene.start, scene.end, strict=True))
        rows, columns = slice(y, y + WINDOW[0]), slice(x, x + WINDOW[1])
        defocused = uint8_from_encoded(encoded_from_linear(NOISE.added_to(light[rows, columns], rng)))
        view = camera.cropped(x, y, WINDOW[1], WINDOW[0])
        truth = depth_mm[rows, columns]
        header = (stamp_ns, FRAME_ID)
        compressed = "sensor_msgs/msg/CompressedImage"
        bag.write("/camera/camera_info", "sensor_msgs/msg/CameraInfo", stamp_ns, camera_info_message(view, *header))
        image = compressed_image_message(jpeg(defocused), "jpeg", *header)
        bag.write("/camera/image/compressed", compressed, stamp_ns, image)
        aif = compressed_image_message(jpeg(sharp[rows, columns]), "jpeg", *header)
        bag.write("/truth/aif/compressed", compressed, stamp_ns, aif)
        bag.write("/truth/depth", "sensor_msgs/msg/Image", stamp_ns, image_message(truth, "16UC1", *header))
        stamp_ns += PERIOD_NS
    return stamp_ns


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """RGB of a PNG."""
    return np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1])


def linear(image_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Light of an image."""
    return linear_from_encoded(image_rgb.astype(np.float32) / 255)


def jpeg(image_rgb: NDArray[np.uint8]) -> bytes:
    """JPEG file of an RGB image."""
    _, packed = cv2.imencode(".jpg", image_rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return packed.tobytes()


if __name__ == "__main__":
    main()
