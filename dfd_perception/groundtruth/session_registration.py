# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From a recorded session (raw/) to training data beside it: defocused, aif and depth in the pixels of one camera.

With a robot camera in the session, that camera is the one: depth and, where there is no all-in-focus image of its
own, the sensor's colour image are registered into it. Without (a recording of the Kinect alone), it is the sensor's
colour camera, whose image stands as it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.depth_encoding import depth_m_from_uint16_mm, uint16_mm_from_depth_m
from dfd_perception.core.distortion import DistortedCamera
from dfd_perception.core.image_bytes import decoded_pixels, decoded_rgb
from dfd_perception.core.registration import DepthRegistration, RigidTransform, register_image
from dfd_perception.core.size import Size
from dfd_perception.errors import CalibrationError, DatasetError, ImageError, UsageError, counted, reading, writing
from dfd_perception.groundtruth.clean_up import (
    PreprocessingRecipe,
    crop,
    inpaint_depth,
    match_exposure,
    normalise_pair,
    temporal_mode,
)
from dfd_perception.groundtruth.rig.rig_calibration import FILE_NAME, RigCalibration
from dfd_perception.groundtruth.session import RAW, SessionDescription, packed, write_complete
from dfd_perception.groundtruth.session_index import (
    INDEX_NAME,
    IndexRow,
    RebuiltIndex,
    index_text,
    rebuild_index,
)

WRITTEN = ("defocused", "rgb", "aif", "depth", "measured", "seen")
"""Folders beside raw/ that registration makes, and makes anew."""

DATASET_FILE = "dataset.yaml"
FULL_SCALE = 65535
"""No depth: sensors put it where they are saturated."""

AifSource = Literal["auto", "captured", "colour", "none"]


@dataclass
class RegisteredSession:
    """What was made, for dataset.yaml and for people."""

    rebuilt: RebuiltIndex
    camera: CameraIntrinsics
    parts: tuple[str, ...]
    rows: list[IndexRow] = field(default_factory=list)
    without_depth: list[str] = field(default_factory=list)
    """Moments left out: no depth fell into the image."""
    refused: list[str] = field(default_factory=list)
    """Moments left out: a file of another size than its calibration, or unreadable; one line each."""
    depth_range_m: tuple[float, float] | None = None


@dataclass(frozen=True)
class _Geometry:
    target: DistortedCamera
    registration: DepthRegistration
    colour: DistortedCamera | None
    colour_from_target: RigidTransform | None


class SessionRegistration:
    """Registers one session.

    Args:
        session: folder with raw/.
        recipe: which pre-processing steps run.
        rig: calibration to use instead of raw/calibration.yaml (of the same sensor modes).
        aif: where the all-in-focus image comes from: of its own (static pairs), the sensor's colour image, none, or
            whichever of these there is.
        sharp: write the images as `rgb`, for `dfd synthesize`, instead of `defocused`.

    Raises:
        DatasetError: not a session, or without what is asked for.
        CalibrationError: no calibration, or one that does not fit.
    """

    def __init__(
        self,
        session: Path,
        recipe: PreprocessingRecipe | None = None,
        rig: RigCalibration | None = None,
        aif: AifSource = "auto",
        sharp: bool = False,
    ) -> None:
        self.session, self.raw = session, session / RAW
        self.description = SessionDescription.read(session)
        self._recipe = recipe or PreprocessingRecipe()
        self._rig = rig or RigCalibration.read(self.raw / FILE_NAME)
        self._image_part = "image" if "image" in self.description.parts else "colour"
        if self._image_part not in self.description.parts:
            raise DatasetError(f"{session} holds depth alone; record a camera's image with it")
        self._image_name = "rgb" if sharp else "defocused"
        self._geometry = self._make_geometry()
        self._aif = "none" if sharp else self._choose_aif(aif)

    def _make_geometry(self) -> _Geometry:
        rig = self._rig
        if self._image_part == "colour":
            if rig.sensor.colour is None:
                raise CalibrationError(f"{self.raw / FILE_NAME} has no colour camera, but the session has its images")
            registration = DepthRegistration(rig.sensor.depth, rig.sensor.colour, rig.sensor.colour_from_depth)
            return _Geometry(rig.sensor.colour, registration, None, None)
        if rig.camera is None or rig.camera_from_depth is None:
            raise CalibrationError(
                f"{self.raw / FILE_NAME} does not know the robot's camera. Record a board and run dfd calibrate, then "
                "dfd register SESSION --calibration FILE"
            )
        registration = DepthRegistration(rig.sensor.depth, rig.camera, rig.camera_from_depth)
        back = rig.camera_from_colour.inverse() if rig.camera_from_colour is not None else None
        return _Geometry(rig.camera, registration, rig.sensor.colour, back)

    def _choose_aif(self, wanted: AifSource) -> str:
        possible = ["captured"] if "aif" in self.description.parts else []
        if "colour" in self.description.parts and self._geometry.colour_from_target is not None:
            possible.append("colour")
        if wanted == "auto":
            return possible[0] if possible else "none"
        if wanted not in [*possible, "none"]:
            raise DatasetError(
                f"{self.session} has no all-in-focus image of the kind {wanted!r}; possible: "
                f"{', '.join([*possible, 'none'])}"
            )
        return wanted

    def run(self, progress: Callable[[int, int], None] = lambda done, total: None) -> RegisteredSession:
        """Rebuild the index, register every moment, write the images and frames.csv.

        Args:
            progress: called with (moments done, all moments).
        """
        rebuilt = rebuild_index(self.raw, self.description.parts)
        parts = (self._image_name, "depth", *(() if self._aif == "none" else ("aif",)))
        camera = self._geometry.target.intrinsics
        if self._recipe.crop is not None:
            camera = camera.cropped(*self._recipe.crop)
        result = RegisteredSession(rebuilt, camera, parts)
        if not rebuilt.rows:
            raise DatasetError(f"{self.session} holds no whole moment ({rebuilt.lost} damaged); record again")
        nearest_mm, farthest_mm = 65535, 0
        first_refusal: UsageError | None = None
        for group in self._groups(rebuilt.rows):
            middle = group[len(group) // 2]
            try:
                images = self._register(group, middle)
            except (DatasetError, CalibrationError) as error:
                result.refused.append(str(error))
                if len(result.refused) == 1:
                    first_refusal = error
                continue
            measured_mm = images["depth"][images["measured"] > 0] if "measured" in images else images["depth"]
            measured_mm = measured_mm[measured_mm > 0]
            if measured_mm.size == 0:
                result.without_depth.append(middle.stem)
                continue
            nearest_mm = min(nearest_mm, int(measured_mm.min()))
            farthest_mm = max(farthest_mm, int(measured_mm.max()))
            if not result.rows:
                self._clear()
            self._write(middle.stem, images)
            fraction = measured_mm.size / images["depth"].size
            result.rows.append(IndexRow(**{**vars(middle), "valid_fraction": fraction}))
            done = len(result.rows) + len(result.without_depth) + len(result.refused)
            progress(done, len(rebuilt.rows) // self._recipe.denoise_frames)
        if first_refusal is not None and not result.rows and not result.without_depth:
            raise first_refusal
        with writing(self.session):
            write_complete(self.session / INDEX_NAME, index_text(result.rows).encode())
        if farthest_mm:
            result.depth_range_m = (nearest_mm * 1e-3, farthest_mm * 1e-3)
        return result

    def _groups(self, rows: list[IndexRow]) -> Iterator[list[IndexRow]]:
        size = self._recipe.denoise_frames
        if len(rows) < size:
            raise DatasetError(
                f"denoising wants {counted(size, 'frame')} of a camera at rest; the session has {len(rows)}"
            )
        for start in range(0, len(rows) - size + 1, size):
            yield rows[start : start + size]

    def _register(self, group: list[IndexRow], middle: IndexRow) -> dict[str, NDArray]:
        depth_mm = np.stack([self._depth_mm(row.stem) for row in group])
        depth_m = depth_m_from_uint16_mm(temporal_mode(depth_mm) if len(group) > 1 else depth_mm[0])
        registered_m = self._geometry.registration.register(depth_m)
        images: dict[str, NDArray] = {
            self._image_name: self._image(self._image_part, middle.stem, self._geometry.target.size),
            "depth": uint16_mm_from_depth_m(registered_m),
        }
        if self._aif == "captured":
            images["aif"] = self._image("aif", middle.stem, self._geometry.target.size)
        elif self._aif == "colour":
            images["aif"], seen = self._registered_colour(middle.stem, registered_m)
            images["seen"] = seen.astype(np.uint8) * 255
        if self._recipe.inpaint_up_to_px:
            inpainted = inpaint_depth(images["depth"], self._recipe.inpaint_up_to_px)
            images["depth"] = inpainted.depth_mm
            images["measured"] = inpainted.measured.astype(np.uint8) * 255
        if self._recipe.crop is not None:
            images = crop(images, self._recipe.crop)
        if self._recipe.normalise and "aif" in images:
            images["defocused"], images["aif"] = normalise_pair(images["defocused"], images["aif"])
        return images

    def _registered_colour(
        self, stem: str, registered_m: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The sensor's colour image in the target, and where it saw; elsewhere the target's own image stands in."""
        geometry = self._geometry
        assert geometry.colour is not None
        assert geometry.colour_from_target is not None
        colour = self._image("colour", stem, geometry.colour.size)
        shown, visible = register_image(
            colour, geometry.colour, registered_m, geometry.target, geometry.colour_from_target
        )
        own = self._image(self._image_part, stem, geometry.target.size)
        return np.where(visible[..., None], match_exposure(shown, own, visible), own), visible

    def _depth_mm(self, stem: str) -> NDArray[np.uint16]:
        path = self.raw / "depth" / f"{stem}.png"
        with _readable(path):
            stored = decoded_pixels(path.read_bytes())
        if stored.dtype != np.uint16 or stored.ndim != 2:
            raise DatasetError(f"{path} is {stored.dtype} {stored.shape}; expected depth of 16 bits, one channel")
        _require_size(path, stored, self._geometry.registration.source.size)
        return np.where(stored == FULL_SCALE, 0, stored).astype(np.uint16)

    def _image(self, part: str, stem: str, size: Size) -> NDArray[np.uint8]:
        path = next((self.raw / part).glob(f"{stem}.[pj]*g"))
        with _readable(path):
            image = decoded_rgb(path.read_bytes())
        _require_size(path, image, size)
        return image

    def _clear(self) -> None:
        """Remove what an earlier registration wrote, so that nothing of it stands beside the new."""
        for name in WRITTEN:
            shutil.rmtree(self.session / name, ignore_errors=True)
        (self.session / DATASET_FILE).unlink(missing_ok=True)

    def _write(self, stem: str, images: dict[str, NDArray]) -> None:
        for part, image in images.items():
            folder = self.session / part
            with writing(folder):
                folder.mkdir(exist_ok=True)
                suffix, body = packed(np.ascontiguousarray(image), lossless=True)
                write_complete(folder / f"{stem}{suffix}", body)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    advice = "remove it and the files of the same name, then register again"
    try:
        with reading(path, DatasetError, advice):
            yield
    except ImageError as error:
        raise DatasetError(f"{path} cannot be read ({error}); {advice}") from error


def _require_size(path: Path, image: NDArray, size: Size) -> None:
    if image.shape[:2] != size:
        raise CalibrationError(
            f"{path} is {image.shape[1]} x {image.shape[0]}, its calibration {size[1]} x {size[0]}; calibrate at "
            "the size that is recorded"
        )
