"""Generated scenes that are rendered once: the first reading of an item writes it, every later one reads the file.

Rendering a scene takes longer than learning from a crop of it; over several epochs the renderer is the brake.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from dfd_perception.datasets.generated.scenes import GeneratedScenes
from dfd_perception.datasets.sample import DefocusSample
from dfd_perception.errors import DatasetError
from dfd_perception.files.images import write_bytes

SETTINGS_FILE = "scenes.json"


class KeptScenes:
    """The items of a generator, kept in a folder: 8 bytes a pixel, the blur rounded to float16.

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
            "size_px": scenes.size_px,
            "largest_coc_px": scenes.largest_coc_px,
            "seed": scenes.seed,
            "photographs": len(scenes.textures.pyramids),
            "photograph_share": scenes.textures.photograph_share,
        }
        path = folder / SETTINGS_FILE
        if path.is_file():
            kept = json.loads(path.read_text("utf-8"))
            if kept != settings:
                raise DatasetError(f"{folder}: keeps scenes of {kept}, not of {settings}; choose another folder")
            return
        write_bytes(path, json.dumps(settings).encode())

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, index: int) -> DefocusSample:
        """Scene `index`, rendered if this is its first reading.

        Raises:
            DatasetError: the file is damaged.
            RecordingError: the disk is full or not writable.
        """
        path = self._folder / f"{index:06d}.npy"
        if not path.is_file():
            self._keep(path, self._scenes[index])
        try:
            bytes_HW8 = np.load(path)
            coc_px = np.ascontiguousarray(bytes_HW8[..., 6:]).view(np.float16)[..., 0].astype(np.float32)
        except (ValueError, OSError) as error:
            raise DatasetError(f"{path}: cannot be read ({error}); delete it, and it is rendered again") from error
        return DefocusSample(
            name=f"{self.name}-{index:06d}", defocused=bytes_HW8[..., :3], aif=bytes_HW8[..., 3:6], coc_px=coc_px
        )

    def _keep(self, path: Path, sample: DefocusSample) -> None:
        assert sample.aif is not None
        assert sample.coc_px is not None
        coc_bytes = sample.coc_px.astype(np.float16)[..., None].view(np.uint8)
        bytes_HW8 = np.concatenate([sample.defocused, sample.aif, coc_bytes], axis=-1)
        content = io.BytesIO()
        np.save(content, bytes_HW8)
        write_bytes(path, content.getvalue())
