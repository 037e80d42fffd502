# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Where `dfd calibrate-lens` takes its images, their distances and their camera from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dfd_perception.errors import CalibrationError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dfd_perception.core.camera_info import ImageCamera
    from dfd_perception.core.distortion import DistortedCamera
    from dfd_perception.groundtruth.rig.board import Board

MOST_IMAGES = 60
"""Of a session or a bag; more say nothing new."""
SourceImage = tuple[str, "NDArray[np.uint8]", "NDArray[np.float32] | None", "DistortedCamera | None"]
"""Name, image (H, W, 3) uint8 RGB, depth (H, W) [m] or None, camera or None."""


class MeasuredImage(NamedTuple):
    """An image with the distance of what it shows."""

    name: str
    image_rgb: NDArray[np.uint8]
    """(H, W, 3) uint8."""
    depth_m: NDArray[np.float32] | None
    """(H, W), NaN where it is not known; None where the board is not seen."""
    fx_px: float


def measured_images(args: argparse.Namespace, board: Board | None) -> Iterator[MeasuredImage]:
    """Images with their depth: of the board where there is one, else as it was measured beside them."""
    for name, image, depth_m, camera in _source_images(args, board is not None):
        yield measured(args, board, name, image, depth_m, camera)


def measured(
    args: argparse.Namespace,
    board: Board | None,
    name: str,
    image: NDArray[np.uint8],
    depth_m: NDArray[np.float32] | None,
    camera: DistortedCamera | None,
) -> MeasuredImage:
    """An image with the depth of its board, or the depth that is known."""
    from dfd_perception.calibration.blur_readings import board_depth_m

    camera = camera_of(args, image.shape, camera)
    if board is not None:
        depth_m = board_depth_m(image, board, camera)
    return MeasuredImage(name, image, depth_m, camera.intrinsics.fx)


def _source_images(args: argparse.Namespace, with_board: bool) -> Iterator[SourceImage]:
    """Images of the sources with what is known of their distance and camera."""
    from dfd_perception.bags.storage import is_bag
    from dfd_perception.datasets.folder import DESCRIPTION_NAME

    for source in args.source:
        if source.is_dir() and (source / DESCRIPTION_NAME).is_file():
            yield from _of_data_set(source)
        elif is_bag(source):
            yield from _of_bag(args, source, with_board)
        else:
            if not with_board:
                raise UsageError(f"{source}: images alone have no distance; give --board, or a session with depth")
            yield from _of_files(source)


def _of_files(source: Path) -> Iterator[SourceImage]:
    from dfd_perception.files.images import images_in, read_image

    files = images_in(source) if source.is_dir() else [source]
    if not files:
        raise UsageError(f"{source}: no images in this folder; a session needs its depth registered (dfd register)")
    for path in files:
        yield path.name, read_image(path), None, None


def _of_data_set(folder: Path) -> Iterator[SourceImage]:
    from dfd_perception.core.distortion import DistortedCamera
    from dfd_perception.datasets.registry import open_dataset
    from dfd_perception.datasets.sample import spread_over

    dataset = open_dataset(folder, "folder")
    for index in spread_over(len(dataset), MOST_IMAGES):
        sample = dataset[index]
        camera = None if sample.camera is None else DistortedCamera(intrinsics=sample.camera)
        yield sample.name, sample.defocused, sample.depth_m, camera


def _of_bag(args: argparse.Namespace, bag: Path, with_board: bool) -> Iterator[SourceImage]:
    from dfd_perception.core.camera_info import image_camera
    from dfd_perception.datasets.sample import spread_over
    from dfd_perception.evaluation.sources.bag_options import BagOptions
    from dfd_perception.evaluation.sources.bag_source import BagSource

    source = BagSource(bag, BagOptions(image_topic=args.image_topic))
    try:
        chosen = set(spread_over(len(source), MOST_IMAGES))
        for frame in source.reread(chosen):
            camera = None
            if frame.camera_info is not None and args.fx is None and args.camera is None:
                camera = distorted(image_camera(frame.camera_info, frame.size, source.topics.image))
            if with_board or frame.depth_m is not None:
                yield f"{bag.name} {frame.name}", frame.defocused, frame.depth_m, camera
    finally:
        source.close()


def camera_of(args: argparse.Namespace, shape: tuple[int, ...], known: DistortedCamera | None) -> DistortedCamera:
    """The camera of an image: as the command says, else as its source does."""
    from dfd_perception.core.camera import CameraIntrinsics
    from dfd_perception.core.camera_info import image_camera
    from dfd_perception.core.distortion import DistortedCamera
    from dfd_perception.files.camera_file import read_camera_file

    height, width = shape[:2]
    if args.camera is not None:
        return distorted(image_camera(read_camera_file(args.camera), (height, width), rectified="false"))
    if args.fx is not None:
        return DistortedCamera(intrinsics=CameraIntrinsics.centred((height, width), args.fx))
    if known is None:
        raise UsageError("the focal length of the images is not known; give --camera FILE or --fx PX")
    return known


def distorted(camera: ImageCamera) -> DistortedCamera:
    """The camera with its distortion, for a pose.

    Raises:
        CalibrationError: a fisheye lens.
    """
    from dfd_perception.core.distortion import DistortedCamera, Distortion

    if camera.distortion is not None and not isinstance(camera.distortion, Distortion):
        raise CalibrationError("fisheye lenses are not calibrated here; give rectified images and --fx")
    return DistortedCamera(intrinsics=camera.intrinsics, distortion=camera.distortion or Distortion())
