# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Images with what is known about them, from a source without ROS: files, videos, cameras, sessions and bags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.camera_info import shown_camera
from dfd_perception.core.lens import LensDescription
from dfd_perception.core.prediction import Prediction
from dfd_perception.datasets.folder import open_folder, read_description
from dfd_perception.evaluation.sources.bag_options import BagOptions
from dfd_perception.evaluation.sources.bag_source import BagSource
from dfd_perception.media.files import ImageFiles
from dfd_perception.media.source_image import ImageSource, SourceImage


@dataclass(frozen=True, kw_only=True)
class SceneImage:
    """One image, its lens and what was recorded beside it."""

    name: str
    image_rgb: NDArray[np.uint8] | None
    """None where only the answers were recorded."""
    time_s: float = 0.0
    """Since the beginning of the scene."""
    stamp_ns: int = 0
    lens: LensDescription | None = None
    fx_px: float | None = None
    """Calibrated focal length of the image; with the lens it gives blur in pixels."""
    camera: CameraIntrinsics | None = None
    depth_m: NDArray[np.float32] | None = None
    """Measured by something else, NaN where there is none."""
    aif: NDArray[np.uint8] | None = None
    recorded: Prediction | None = None
    """What a node answered; no model needs to run."""


class Scene(Protocol):
    """Images that come one after the other in a time of their own; asked for again, they come from the start."""

    title: str
    live: bool
    """They come by themselves, and only once."""

    def images(self) -> Iterator[SceneImage]:
        """The images.

        Raises:
            UsageError: something of it cannot be read.
        """
        ...

    def close(self) -> None:
        """Release what is open."""
        ...


class Album(Protocol):
    """Images to leaf through."""

    title: str

    def __len__(self) -> int:
        """Number of images, at least one."""
        ...

    def image(self, index: int) -> SceneImage:
        """Read one.

        Raises:
            UsageError: it cannot be read.
        """
        ...


@dataclass(frozen=True)
class FixedLens:
    """One lens for all images of a source; either part may be unknown."""

    lens: LensDescription | None = None
    fx_px: float | None = None

    def scene_image(self, image: SourceImage) -> SceneImage:
        """An image of a source with this lens."""
        fx_px = self.fx_px or (self.lens.data_sheet_fx_px if self.lens is not None else None)
        return SceneImage(
            name=image.name,
            image_rgb=image.image_rgb,
            time_s=image.time_s,
            stamp_ns=round(image.time_s * 1e9),
            lens=self.lens,
            fx_px=self.fx_px,
            camera=centred_camera(image.image_rgb, fx_px),
        )


class FilesAlbum:
    """Image files, all with one lens."""

    def __init__(self, files: ImageFiles, title: str, lens: FixedLens) -> None:
        self.title = title
        self._files, self._lens = files, lens

    def __len__(self) -> int:
        return len(self._files)

    def image(self, index: int) -> SceneImage:
        """Read one file."""
        return self._lens.scene_image(self._files.read(index))


class MovingScene:
    """A video or a camera with one lens."""

    def __init__(self, source: ImageSource, title: str, lens: FixedLens) -> None:
        self.title, self.live = title, source.live
        self._source, self._lens = source, lens

    def images(self) -> Iterator[SceneImage]:
        """The source's images."""
        return map(self._lens.scene_image, self._source.images())

    def close(self) -> None:
        """Release the camera or video."""
        self._source.close()


class SessionAlbum:
    """A session or dataset folder: defocused images, with the measured depth and the all-in-focus image beside them."""

    def __init__(self, folder: Path, fixed: FixedLens) -> None:
        """Open the folder; a fixed lens or focal length wins over that of dataset.yaml.

        Raises:
            DatasetError: what is missing or wrong in it.
        """
        self.title = folder.resolve().name
        self._dataset = open_folder(folder)
        description = read_description(folder)
        self._lens = fixed.lens or description.lens
        self._fx_px = fixed.fx_px or (description.camera.fx if description.camera is not None else None)

    def __len__(self) -> int:
        return len(self._dataset)

    def image(self, index: int) -> SceneImage:
        """Read one frame."""
        sample = self._dataset[index]
        return SceneImage(
            name=sample.name,
            image_rgb=sample.defocused,
            lens=self._lens,
            fx_px=self._fx_px,
            camera=sample.camera or centred_camera(sample.defocused, self._fx_px),
            depth_m=sample.depth_m,
            aif=sample.aif,
        )


class BagScene:
    """The image topic of a bag, with recorded depth beside it where there is some."""

    live = False

    def __init__(self, path: Path, options: BagOptions, fixed: FixedLens) -> None:
        """Open the bag and choose its topics.

        Raises:
            DatasetError: unreadable, or topics that are absent or ambiguous.
        """
        self.title = path.resolve().name
        self._fixed = fixed
        self._source = BagSource(path, options)

    def images(self) -> Iterator[SceneImage]:
        """The images in order of their stamps."""
        began_ns: int | None = None
        for frame in self._source.frames():
            stamp_ns = frame.stamp_ns or 0
            began_ns = stamp_ns if began_ns is None else began_ns
            camera = shown_camera(frame.camera_info, frame.size, self._source.topics.image)
            fx_px = self._fixed.fx_px or (camera.fx if camera is not None else None)
            yield SceneImage(
                name=frame.name,
                image_rgb=frame.defocused,
                time_s=(stamp_ns - began_ns) * 1e-9,
                stamp_ns=stamp_ns,
                lens=self._fixed.lens,
                fx_px=fx_px,
                camera=camera or centred_camera(frame.defocused, fx_px),
                depth_m=frame.depth_m,
                aif=frame.aif,
            )

    def close(self) -> None:
        """Release the bag."""
        self._source.close()


def centred_camera(image_rgb: NDArray[np.uint8], fx_px: float | None) -> CameraIntrinsics | None:
    """The camera of an image whose focal length is known; None where it is not."""
    if fx_px is None:
        return None
    return CameraIntrinsics.centred((image_rgb.shape[0], image_rgb.shape[1]), fx_px)
