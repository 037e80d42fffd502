# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From a recorded session (raw/) to training data beside it: defocused, aif and depth in the pixels of one camera."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.errors import CalibrationError, DatasetError, UsageError, counted, writing
from dfd_perception.groundtruth.clean_up import PreprocessingRecipe
from dfd_perception.groundtruth.moment_registration import AifSource, MomentRegistration
from dfd_perception.groundtruth.rig.rig_calibration import FILE_NAME, RigCalibration
from dfd_perception.groundtruth.session import RAW, SessionDescription, packed, write_complete
from dfd_perception.groundtruth.session_index import INDEX_NAME, IndexRow, RebuiltIndex, index_text, rebuild_index

WRITTEN = ("defocused", "rgb", "aif", "depth", "measured", "seen")
"""Folders beside raw/ that registration makes, and makes anew."""

DATASET_FILE = "dataset.yaml"


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
        rig = rig or RigCalibration.read(self.raw / FILE_NAME)
        self._moments = MomentRegistration(session, self.description.parts, rig, self._recipe, aif, sharp)

    def run(self, progress: Callable[[int, int], None] = lambda done, total: None) -> RegisteredSession:
        """Rebuild the index, register every moment, write the images and frames.csv.

        Args:
            progress: called with (moments done, all moments).
        """
        rebuilt = rebuild_index(self.raw, self.description.parts)
        result = RegisteredSession(rebuilt, self._moments.camera, self._moments.parts)
        if not rebuilt.rows:
            raise DatasetError(f"{self.session} holds no whole moment ({rebuilt.lost} damaged); record again")
        nearest_mm, farthest_mm = 65535, 0
        first_refusal: UsageError | None = None
        for group in self._groups(rebuilt.rows):
            middle = group[len(group) // 2]
            try:
                images = self._moments.images(group, middle)
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
