# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The results of a video: depth in colours with its legend, and the deblurred image, as videos beside each other."""

from __future__ import annotations

from pathlib import Path

from dfd_perception.core.colormap import ColourScale, blur_scale, scene_depth_scale
from dfd_perception.core.result import Result
from dfd_perception.core.sheet import map_cell, with_legend
from dfd_perception.errors import UsageError
from dfd_perception.media.video_writer import VideoWriter

KINDS = ("depth_color", "defocus_color", "deblurred")


class ResultVideo:
    """NAME_depth_color.mp4, NAME_defocus_color.mp4 and NAME_deblurred.mp4, as far as there are such results.

    A colour is the same distance in every frame: the scales are those of the first frame, or as given.
    """

    def __init__(
        self, folder: Path, name: str, rate_hz: float, depth_range_m: tuple[float, float] | None, overwrite: bool
    ) -> None:
        """Prepare; files appear with the first frame.

        Raises:
            UsageError: results of this name are there.
        """
        self._paths = {kind: folder / f"{name}_{kind}.mp4" for kind in KINDS}
        existing = [path for path in self._paths.values() if path.exists()]
        if existing and not overwrite:
            raise UsageError(f"{existing[0]} would be overwritten; give --overwrite, or another --out")
        self._rate_hz = rate_hz
        self._depth_scale = None if depth_range_m is None else ColourScale(*depth_range_m, logarithmic=True)
        self._blur_scale: ColourScale | None = None
        self._writers: dict[str, VideoWriter] = {}
        self.count = 0

    def add(self, result: Result) -> None:
        """Append one frame.

        Raises:
            ImageError: of another size than the first.
            RecordingError: the disk refuses.
        """
        images = {}
        if result.depth_m is not None:
            self._depth_scale = self._depth_scale or scene_depth_scale(result.depth_m)
            images["depth_color"] = with_legend(map_cell("", result.depth_m, self._depth_scale))
        if result.blur_px is not None:
            self._blur_scale = self._blur_scale or blur_scale(result.blur_px)
            images["defocus_color"] = with_legend(map_cell("", result.blur_px, self._blur_scale))
        if result.deblurred is not None:
            images["deblurred"] = result.deblurred
        for kind, image in images.items():
            if kind not in self._writers:
                self._writers[kind] = VideoWriter(self._paths[kind], self._rate_hz)
            self._writers[kind].write(image)
        self.count += 1

    def close(self) -> list[Path]:
        """Finish the files; returns them."""
        for writer in self._writers.values():
            writer.close()
        return [writer.path for writer in self._writers.values()]
