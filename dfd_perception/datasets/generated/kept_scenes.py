# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Exposures that are blurred once: the first reading of one writes it, every later one reads the file.

Blurring a scene takes longer than learning from a crop of it; camera, noise and crop are drawn anew each time.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from dfd_perception.datasets.generated.exposure import Blur, Exposure
from dfd_perception.datasets.generated.scenes import GeneratedScenes
from dfd_perception.datasets.sample import DefocusSample
from dfd_perception.errors import DatasetError, reading, reason_of
from dfd_perception.files.atomic import write_bytes

SETTINGS_FILE = "scenes.json"
FORMAT = 3
"""Raised when the generator changes what an exposure is: a folder of before is refused, not mixed in."""


class KeptScenes:
    """The exposures of a generator, kept in a folder: 14 bytes a pixel, as float16.

    Several processes may share the folder: a file appears whole or not at all.

    Args:
        scenes: the generator.
        folder: made if it is not there.

    Raises:
        DatasetError: the folder holds scenes of other settings.
        RecordingError: it cannot be written.
    """

    def __init__(self, scenes: GeneratedScenes, folder: Path) -> None:
        self.name = scenes.name
        self._scenes, self._folder = scenes, folder
        settings = {
            "format": FORMAT,
            "size_px": scenes.size_px,
            "largest_coc_px": scenes.largest_coc_px,
            "seed": scenes.seed,
            "photographs": len(scenes.textures.pyramids),
            "photograph_share": scenes.textures.photograph_share,
            "rendered": len(scenes.rendered) if scenes.rendered is not None else 0,
            "rendered_share": scenes.rendered_share,
            "detailed_share": scenes.detailed_share,
        }
        path = folder / SETTINGS_FILE
        if path.is_file():
            with reading(path, DatasetError, "choose another folder for the scenes"):
                kept = json.loads(path.read_text("utf-8"))
            if kept != settings:
                raise DatasetError(f"{folder}: keeps scenes of {kept}, not of {settings}; choose another folder")
            return
        write_bytes(path, json.dumps(settings).encode())

    def __len__(self) -> int:
        return len(self._scenes)

    def index_at(self, position: int, seed: int) -> int:
        """Which sample stands at a position of the endless training stream."""
        return self._scenes.index_at(position, seed)

    def __getitem__(self, index: int) -> DefocusSample:
        """Sample `index`; its exposure is drawn if this is its first reading.

        Raises:
            DatasetError: the file is damaged.
            RecordingError: the disk is full or not writable.
        """
        return self._scenes.sample_of(self._read(self.draw(index // self._scenes.uses)), index)

    def newest_at(self, position: int) -> int:
        """The last exposure that may stand at a position of the endless training stream."""
        return self._scenes.newest_at(position)

    @property
    def exposure_count(self) -> int:
        """Exposures before they repeat; `len` counts the samples, several of each."""
        return self._scenes.length

    def blurred_by(self, blur: Blur) -> KeptScenes:
        """The same folder, its new exposures defocused by another means."""
        return KeptScenes(replace(self._scenes, blur=blur), self._folder)

    def draw(self, number: int) -> Path:
        """The file of an exposure, drawn and written if it is not there.

        Raises:
            RecordingError: the disk is full or not writable.
        """
        path = self._folder / f"{number:06d}.npy"
        if not path.is_file():
            self._keep(path, self._scenes.exposure(number))
        return path

    def _read(self, path: Path) -> Exposure:
        try:
            planes_HW8 = np.load(path)
            maps = planes_HW8[..., :7].astype(np.float32)
            variance_px2, gamma = (float(value) for value in planes_HW8[0, :2, 7])
        except (ValueError, OSError, IndexError) as error:
            raise DatasetError(
                f"{path}: cannot be read ({reason_of(error)}); delete it, and it is drawn again"
            ) from error
        return Exposure(
            light=np.ascontiguousarray(maps[..., :3]),
            sharp_light=np.ascontiguousarray(maps[..., 3:6]),
            signed_coc_px=np.ascontiguousarray(maps[..., 6]),
            floor_variance_px2=variance_px2,
            gamma=gamma,
        )

    def _keep(self, path: Path, exposure: Exposure) -> None:
        height, width = exposure.signed_coc_px.shape
        planes_HW8 = np.zeros((height, width, 8), np.float16)
        planes_HW8[..., :3], planes_HW8[..., 3:6] = exposure.light, exposure.sharp_light
        planes_HW8[..., 6] = exposure.signed_coc_px
        planes_HW8[0, :2, 7] = exposure.floor_variance_px2, exposure.gamma
        content = io.BytesIO()
        np.save(content, planes_HW8)
        write_bytes(path, content.getvalue())
