# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""One moment of a recorded session, registered: its files in raw/ become images in the pixels of one camera.

With a robot camera in the session, that camera is the one: depth and, where there is no all-in-focus image of its
own, the sensor's colour image are registered into it. Without (a recording of the Kinect alone), it is the sensor's
colour camera, whose image stands as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from dfd_perception.errors import CalibrationError, DatasetError, ImageError, reading
from dfd_perception.groundtruth.clean_up import (
    PreprocessingRecipe,
    crop,
    inpaint_depth,
    match_exposure,
    normalise_pair,
    temporal_mode,
)
from dfd_perception.groundtruth.rig.rig_calibration import FILE_NAME, RigCalibration
from dfd_perception.groundtruth.session import RAW
from dfd_perception.groundtruth.session_index import IndexRow

FULL_SCALE = 65535
"""No depth: sensors put it where they are saturated."""

AifSource = Literal["auto", "captured", "colour", "none"]


@dataclass(frozen=True)
class _Geometry:
    target: DistortedCamera
    registration: DepthRegistration
    colour: DistortedCamera | None
    colour_from_target: RigidTransform | None


class MomentRegistration:
    """Registers the moments of one session.

    Args:
        session: folder with raw/.
        recorded: parts of its moments.
        rig: calibration of its cameras.
        recipe: which pre-processing steps run.
        aif: where the all-in-focus image comes from: of its own (static pairs), the sensor's colour image, none, or
            whichever of these there is.
        sharp: call the images `rgb`, instead of `defocused`.

    Raises:
        DatasetError: without an image, or without what is asked for.
        CalibrationError: a camera that the calibration does not know.
    """

    def __init__(
        self,
        session: Path,
        recorded: Sequence[str],
        rig: RigCalibration,
        recipe: PreprocessingRecipe,
        aif: AifSource,
        sharp: bool,
    ) -> None:
        self._session, self._raw, self._recorded = session, session / RAW, recorded
        self._rig, self._recipe = rig, recipe
        self._image_part = "image" if "image" in recorded else "colour"
        if self._image_part not in recorded:
            raise DatasetError(f"{session} holds depth alone; record a camera's image with it")
        self._image_name = "rgb" if sharp else "defocused"
        self._geometry = self._make_geometry()
        self._aif = "none" if sharp else self._choose_aif(aif)
        self.parts = (self._image_name, "depth", *(() if self._aif == "none" else ("aif",)))
        """What each registered moment holds; masks come beside them."""

    @property
    def camera(self) -> CameraIntrinsics:
        """The camera of the registered images."""
        camera = self._geometry.target.intrinsics
        return camera if self._recipe.crop is None else camera.cropped(*self._recipe.crop)

    def _make_geometry(self) -> _Geometry:
        rig = self._rig
        if self._image_part == "colour":
            if rig.sensor.colour is None:
                raise CalibrationError(f"{self._raw / FILE_NAME} has no colour camera, but the session has its images")
            registration = DepthRegistration(rig.sensor.depth, rig.sensor.colour, rig.sensor.colour_from_depth)
            return _Geometry(rig.sensor.colour, registration, None, None)
        if rig.camera is None or rig.camera_from_depth is None:
            raise CalibrationError(
                f"{self._raw / FILE_NAME} does not know the robot's camera. Record a board and run dfd calibrate, then "
                "dfd register SESSION --calibration FILE"
            )
        registration = DepthRegistration(rig.sensor.depth, rig.camera, rig.camera_from_depth)
        back = rig.camera_from_colour.inverse() if rig.camera_from_colour is not None else None
        return _Geometry(rig.camera, registration, rig.sensor.colour, back)

    def _choose_aif(self, wanted: AifSource) -> str:
        possible = ["captured"] if "aif" in self._recorded else []
        if "colour" in self._recorded and self._geometry.colour_from_target is not None:
            possible.append("colour")
        if wanted == "auto":
            return possible[0] if possible else "none"
        if wanted not in [*possible, "none"]:
            raise DatasetError(
                f"{self._session} has no all-in-focus image of the kind {wanted!r}; possible: "
                f"{', '.join([*possible, 'none'])}"
            )
        return wanted

    def images(self, group: list[IndexRow], middle: IndexRow) -> dict[str, NDArray]:
        """The images of one moment by part, all of the camera's size; of several moments at rest, the middle one.

        Args:
            group: moments whose depth is denoised over time.
            middle: whose images are taken.

        Raises:
            DatasetError, CalibrationError: a file that is unreadable, or of another size than its calibration.
        """
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
        path = self._raw / "depth" / f"{stem}.png"
        with _readable(path):
            stored = decoded_pixels(path.read_bytes())
        if stored.dtype != np.uint16 or stored.ndim != 2:
            raise DatasetError(f"{path} is {stored.dtype} {stored.shape}; expected depth of 16 bits, one channel")
        _require_size(path, stored, self._geometry.registration.source.size)
        return np.where(stored == FULL_SCALE, 0, stored).astype(np.uint16)

    def _image(self, part: str, stem: str, size: Size) -> NDArray[np.uint8]:
        path = next((self._raw / part).glob(f"{stem}.[pj]*g"))
        with _readable(path):
            image = decoded_rgb(path.read_bytes())
        _require_size(path, image, size)
        return image


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
