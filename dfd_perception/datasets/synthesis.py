# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Writes samples as a data set folder; dataset.yaml comes last, so that an unfinished folder is known as one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.depth_encoding import MILLIMETRES, uint16_mm_from_depth_m
from dfd_perception.core.lens import LensDescription, ResolvedLens
from dfd_perception.datasets.folder import PARTS, DatasetDescription, write_dataset_yaml
from dfd_perception.datasets.rgbd import SharpSource
from dfd_perception.datasets.sample import DefocusSample
from dfd_perception.errors import DatasetError, LensError
from dfd_perception.files.images import write_png


def lens_on(
    lens: LensDescription, source: SharpSource, fx_px: float | None = None, floor_px: float = 0.0
) -> ResolvedLens:
    """A lens on the camera of a source: one for all its frames, that of the first.

    Args:
        fx_px: focal length of the images, for sources that state none; wins over theirs.
        floor_px: blur floor where the lens states none.

    Raises:
        LensError: the focal length in pixels cannot be known.
    """
    camera = source[0].camera
    if fx_px is None and camera is not None:
        fx_px = camera.fx
    try:
        return lens.resolved(fx_px, floor_px=floor_px)
    except LensError as error:
        raise LensError(f"{source.name} states no intrinsics: {error}" if fx_px is None else str(error)) from error


class FolderWriter:
    """A data set folder that grows.

    Args:
        folder: new or empty.
        lens: of the images, its pixel pitch that of their camera (LensDescription.fitted_to).
        provenance: goes into dataset.yaml.
        fx_px: focal length that the images were blurred by; None: that of their own cameras.

    Raises:
        DatasetError: the folder holds something already.
    """

    def __init__(
        self, folder: Path, lens: LensDescription | None, provenance: dict[str, Any], fx_px: float | None = None
    ) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise DatasetError(f"{folder}: exists and is not empty; choose a new folder")
        self._folder, self._lens, self._provenance, self._fx_px = folder, lens, provenance, fx_px
        self._counts = dict.fromkeys(PARTS, 0)
        self._cameras: set[CameraIntrinsics | None] = set()
        self._range_m = (float("inf"), 0.0)

    def add(self, sample: DefocusSample) -> None:
        """Write the parts of one sample under its name."""
        depth_mm = None if sample.depth_m is None else uint16_mm_from_depth_m(sample.depth_m)
        for part, image in zip(PARTS, (sample.defocused, sample.aif, depth_mm), strict=True):
            if image is not None:
                write_png(self._folder / part / f"{sample.name}.png", image)
                self._counts[part] += 1
        if sample.depth_m is not None and np.isfinite(sample.depth_m).any():
            nearest, farthest = float(np.nanmin(sample.depth_m)), float(np.nanmax(sample.depth_m))
            self._range_m = (min(self._range_m[0], nearest), max(self._range_m[1], farthest))
        if sample.seen is not None:
            write_png(self._folder / "seen" / f"{sample.name}.png", sample.seen.astype(np.uint8) * 255)
        self._cameras.add(self._camera_of(sample))

    def _camera_of(self, sample: DefocusSample) -> CameraIntrinsics | None:
        """The camera that the blur agrees with: a reader takes fx from it before the pixel pitch of the lens."""
        if self._fx_px is None:
            return sample.camera
        size = (sample.defocused.shape[0], sample.defocused.shape[1])
        camera = sample.camera or CameraIntrinsics.centred(size, self._fx_px)
        return replace(camera, fx=self._fx_px, fy=camera.fy * self._fx_px / camera.fx)

    def finish(self) -> None:
        """Write dataset.yaml. Frames of several cameras leave `camera` out."""
        camera = self._cameras.pop() if len(self._cameras) == 1 else None
        nearest, farthest = self._range_m
        description = DatasetDescription(
            name=self._folder.name,
            lens=self._lens,
            camera=camera,
            depth_unit_m=MILLIMETRES if self._counts["depth"] else None,
            depth_range_m=(round(nearest, 3), round(farthest, 3)) if farthest > 0 else None,
            provenance=self._provenance,
            counts=self._counts,
        )
        write_dataset_yaml(self._folder, description)
