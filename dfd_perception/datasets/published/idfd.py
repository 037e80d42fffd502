# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""iDFD (Nazir et al.): Nikon at f/2.8 (defocused) and f/10 (all-in-focus), time-of-flight depth, 764 scenes.

    Data/Raw/{inpainting,without_inpainting}/{Out_Of_Focus,All_In_Focus,Depth}/SCENE_INDEX.jpg|JPG|png

Only `Raw` is read: the `Processed` depth was stretched to 0..255 image by image and is not metric. The in-painted
and the raw variant are cropped differently, so parts are never mixed. Triples are incomplete: they are
paired by stem and the incomplete ones are reported. No split is published; here a place (name without
its index) belongs to one split as a whole, so that no room is in two.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from dfd_perception.datasets.frame_files import FilesDataset, FrameFiles, files_by_stem, named
from dfd_perception.errors import DatasetError

VARIANTS = {"idfd": "inpainting", "idfd-raw": "without_inpainting"}
PARTS = {"defocused": "Out_Of_Focus", "aif": "All_In_Focus", "depth": "Depth"}


def is_idfd(folder: Path, kind: str = "idfd") -> bool:
    """Whether the folder is the root, `Data` or `Raw` of iDFD, with that variant in it."""
    raw = _raw(folder)
    return raw is not None and (raw / VARIANTS[kind]).is_dir()


def open_idfd(folder: Path, kind: str = "idfd") -> FilesDataset:
    """Open the in-painted ("idfd") or the raw ("idfd-raw") variant.

    Raises:
        DatasetError: the variant is not there, or has no complete triple.
    """
    raw = _raw(folder)
    variant = VARIANTS[kind]
    if raw is None or not (raw / variant).is_dir():
        raise DatasetError(f"{folder}: no Raw/{variant} of iDFD in it (Processed depth is not metric and is not read)")
    files = {part: files_by_stem(raw / variant / name) for part, name in PARTS.items()}
    every = sorted(set().union(*files.values()))
    complete = [stem for stem in every if all(stem in part for part in files.values())]
    problems = [
        f"{PARTS[part]} lacks {named([stem for stem in every if stem not in paths])}"
        for part, paths in files.items()
        if len(paths) < len(every)
    ]
    frames = [FrameFiles(name=stem, **{part: files[part][stem] for part in PARTS}) for stem in complete]
    splits: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for index, stem in enumerate(complete):
        splits[_split_of(stem.rpartition("_")[0] or stem)].append(index)
    return FilesDataset(kind, frames, splits, problems=problems, aperture_ratio=2.8 / 10)


def _raw(folder: Path) -> Path | None:
    for raw in (folder / "Data" / "Raw", folder / "Raw", folder):
        if any((raw / variant / PARTS["defocused"]).is_dir() for variant in VARIANTS.values()):
            return raw
    return None


def _split_of(place: str) -> str:
    """70 / 15 / 15 by a hash of the place's name: the same on every machine and whatever else is there."""
    draw = int.from_bytes(hashlib.sha256(place.encode()).digest()[:4], "big") / 2**32
    return "train" if draw < 0.70 else "val" if draw < 0.85 else "test"
