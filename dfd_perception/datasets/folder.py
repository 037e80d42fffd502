# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The project's own data set folder: what the recorder and `dfd synthesize` write and the trainer reads.

    NAME/dataset.yaml
    NAME/{defocused,aif,depth}/STEM.png|jpg     parts are paired by STEM; depth: uint16 of `depth_unit_m` (millimetres),
                                                0 and 65535 none, or float metres (tif, npy)
    NAME/{seen,measured}/STEM.png               masks of aif and depth: 0 where filled in; nothing counts there
    NAME/frames.csv, NAME/raw/                  of recorded sessions; not read here

`aif` or `depth` may be absent as a whole (dataset.yaml counts what there is); a single missing file is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.depth_encoding import MILLIMETRES, parse_depth_unit
from dfd_perception.core.lens import LensDescription, ResolvedLens
from dfd_perception.core.optics import require_possible
from dfd_perception.datasets.depth_units import DepthUnit
from dfd_perception.datasets.frame_files import FilesDataset, FrameFiles, files_by_stem, named, unpaired
from dfd_perception.datasets.sample import tail_split
from dfd_perception.errors import DatasetError, UsageError
from dfd_perception.files.atomic import write_bytes
from dfd_perception.files.configuration import from_mapping, plain, read_yaml, yaml_text
from dfd_perception.files.images import DEPTH_SUFFIXES, STORED_SUFFIXES, holds_float, read_depth_m

FORMAT = 1
DESCRIPTION_NAME = "dataset.yaml"
PARTS = ("defocused", "aif", "depth")
MASKS = {"seen": "aif", "measured": "depth"}
"""Folder of masks to the part that it is of; there is one where the part was filled in."""
BLUR_KEY = "blur"
"""In the provenance of sets whose blur was computed: how."""


@dataclass(frozen=True, kw_only=True)
class DatasetDescription:
    """Contents of dataset.yaml."""

    format: int = FORMAT
    """Version of the layout."""
    name: str = ""
    lens: LensDescription | None = None
    """Lens of the defocused images, None where it is not known."""
    camera: CameraIntrinsics | None = None
    """K of the defocused camera."""
    depth_unit_m: float | None = None
    """Metres per count of the depth files; None: nobody said, millimetres are taken."""
    depth_range_m: tuple[float, float] | None = None
    """Nearest and farthest depth in the set."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Where the images come from, with what settings and under which licence."""
    counts: dict[str, int] = field(default_factory=dict)
    """Files of each part; 0 or absent: the set has no such part."""
    aif_f_number: float | None = None
    """Of aperture pairs: f-number at which `aif` was photographed."""
    splits: dict[str, list[str]] = field(default_factory=dict)
    """Split name to stems. Without it the last fifth in order of stem is "val", the rest "train"."""

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise DatasetError(f"format is {self.format}; this version reads format {FORMAT}")
        if self.depth_unit_m is not None:
            parse_depth_unit(self.depth_unit_m)
        if self.aif_f_number is not None:
            require_possible(f_number=self.aif_f_number)
        ratio = self.aperture_ratio()
        if ratio is not None and not 0 <= ratio < 1:
            raise DatasetError(
                f"aif_f_number is {self.aif_f_number}; expected a smaller aperture (a larger f-number) than that of "
                "the defocused images"
            )

    def aperture_ratio(self) -> float | None:
        """f-number of the defocused images over that of `aif`; 0 where only the latter is known, None without pairs."""
        if self.aif_f_number is None:
            return None
        lens = self.lens
        if lens is None or lens.focal_length_mm is None:
            return 0.0
        return lens.focal_length_mm / lens.diameter_mm / self.aif_f_number

    def resolved(self, floor_px: float = 0.0) -> ResolvedLens | None:
        """The lens on the camera of the stored images; None where either is not known.

        Args:
            floor_px: blur floor where the lens states none.
        """
        if self.lens is None:
            return None
        fx_px = None if self.camera is None else self.camera.fx
        if BLUR_KEY in self.provenance and self.lens.data_sheet_fx_px is not None:
            # The lens is what the images were blurred with. Sets written today state a pixel pitch that fits the
            # camera; earlier ones were blurred by the pitch of the lens file whatever the camera.
            fx_px = None
        if fx_px is None and self.lens.data_sheet_fx_px is None:
            return None
        return self.lens.resolved(fx_px, floor_px=floor_px)


def read_description(folder: Path) -> DatasetDescription:
    """Read NAME/dataset.yaml.

    Raises:
        DatasetError: absent, or not as described.
    """
    path = folder / DESCRIPTION_NAME
    if not path.is_file():
        raise DatasetError(f"{folder}: no {DESCRIPTION_NAME}; expected a data set folder as the recorder writes it")
    try:
        return from_mapping(DatasetDescription, read_yaml(path), str(path))
    except UsageError as error:
        raise DatasetError(str(error)) from error


def write_dataset_yaml(folder: Path, description: DatasetDescription) -> None:
    """Write NAME/dataset.yaml, atomically; parts that are None or empty are left out.

    Raises:
        RecordingError: not writable.
    """
    mapping = {"format": description.format} | plain(description, absent=(None, {}, ""))
    write_bytes(folder / DESCRIPTION_NAME, yaml_text(mapping).encode())


def open_folder(folder: Path, depth_unit_m: float | None = None) -> FilesDataset:
    """Open a data set folder.

    Args:
        folder: of the set.
        depth_unit_m: metres per count of its depth; None: as dataset.yaml says.

    Raises:
        DatasetError: what is missing or wrong, by name.
    """
    description = read_description(folder)
    files = {
        part: files_by_stem(folder / part, DEPTH_SUFFIXES if part == "depth" else STORED_SUFFIXES)
        for part in PARTS
        if _has(folder, part, description)
    }
    for mask, part in MASKS.items():
        if part in files and (folder / mask).is_dir():
            files[mask] = files_by_stem(folder / mask)
    lines = unpaired(files)
    if lines:
        raise DatasetError(f"{folder}: {'; '.join(lines)}; add the files or remove their partners")
    stems = list(files["defocused"])
    if not stems:
        raise DatasetError(f"{folder / 'defocused'}: no PNG or JPEG in it")
    frames = [FrameFiles(name=stem, **{part: files[part][stem] for part in files}) for stem in stems]
    splits = _splits(folder, description, stems)
    resolved = description.resolved()
    curve = None if resolved is None else resolved.curve
    stated_m = depth_unit_m if depth_unit_m is not None else description.depth_unit_m
    unit = DepthUnit(
        MILLIMETRES if stated_m is None else stated_m,
        stated=stated_m is not None,
        is_float="depth" in files and holds_float(files["depth"][stems[0]]),
    )
    return FilesDataset(
        description.name or folder.name,
        frames,
        splits,
        description.camera,
        curve,
        read_depth=partial(read_depth_m, metres_per_count=unit.metres_per_count),
        depth_unit=unit,
        aperture_ratio=description.aperture_ratio() if "aif" in files else None,
    )


def _has(folder: Path, part: str, description: DatasetDescription) -> bool:
    return part == "defocused" or (folder / part).is_dir() or description.counts.get(part, 0) > 0


def _splits(folder: Path, description: DatasetDescription, stems: list[str]) -> dict[str, list[int]]:
    if not description.splits:
        return {name: list(indices) for name, indices in tail_split(len(stems)).items()}
    index_of = {stem: index for index, stem in enumerate(stems)}
    splits = {}
    for name, members in description.splits.items():
        absent = [stem for stem in members if stem not in index_of]
        if absent:
            raise DatasetError(f"{folder / DESCRIPTION_NAME}: split {name} names {named(absent)}, no such frame")
        splits[name] = [index_of[stem] for stem in members]
    return splits
