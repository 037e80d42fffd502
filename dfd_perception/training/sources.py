# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The data sets of a recipe: one to learn from, one to measure on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from dfd_perception.core.depth_encoding import parse_depth_unit
from dfd_perception.core.lens import ResolvedLens
from dfd_perception.core.optics import DefocusCurve, Lens
from dfd_perception.datasets.augmentation import cropped
from dfd_perception.datasets.depth_units import unit_lines_of
from dfd_perception.datasets.folder import DESCRIPTION_NAME, read_description
from dfd_perception.datasets.generated.kept_scenes import KeptScenes
from dfd_perception.datasets.generated.rendered import RenderedScenes
from dfd_perception.datasets.generated.scenes import GeneratedScenes
from dfd_perception.datasets.generated.texture import TextureBank
from dfd_perception.datasets.registry import layout_of, open_dataset, open_sharp, recognise
from dfd_perception.datasets.sample import DefocusDataset, DefocusSample, Subset, select_split, spread_over
from dfd_perception.datasets.synthesis import lens_on
from dfd_perception.errors import ConfigError, DatasetError, counted
from dfd_perception.training.config_sections import DataConfig

GENERATED = "generated"
VALIDATION_SEED_STEP = 1_000_003
"""Generated scenes to measure on come from another seed than any that a recipe is likely to use."""

SceneSource: TypeAlias = GeneratedScenes | KeptScenes


@dataclass(frozen=True)
class Sources:
    """What a recipe's data section opens."""

    train: DefocusDataset
    validation: DefocusDataset
    lens: Lens | None
    """Lens as a data sheet gives it, for the card of a depth model."""
    curve: DefocusCurve | None
    kind: str
    notes: tuple[str, ...] = ()
    """What the user should be told, one line each."""
    kept: KeptScenes | None = None
    """Generated scenes to learn from that are kept on disk."""


class WithLens:
    """A data set whose samples also know their lens, and depth where only the blur was known (far side).

    Args:
        dataset: the samples.
        curve: lens of its images; a sample's own wins.
        input_part: "aif" makes the all-in-focus image the input, to compare with the defocused one.
        floor_px: blur floor of its camera, which the samples' blur does not hold yet.
    """

    def __init__(
        self,
        dataset: DefocusDataset | SceneSource,
        curve: DefocusCurve | None,
        input_part: str = "defocused",
        floor_px: float = 0.0,
    ) -> None:
        self.name = dataset.name
        self.splits: Mapping[str, Sequence[int]] = getattr(dataset, "splits", {})
        self._dataset, self._curve, self._input_part, self._floor_px = dataset, curve, input_part, floor_px

    def __len__(self) -> int:
        return len(self._dataset)

    @property
    def index_at(self) -> Callable[[int, int], int] | None:
        """The data set's own order of training, if it has one."""
        return getattr(self._dataset, "index_at", None)

    def __getitem__(self, index: int) -> DefocusSample:
        sample = self._dataset[index]
        if self._floor_px:
            sample = sample.with_floor(self._floor_px)
        if self._curve is not None and sample.curve is None:
            sample = replace(sample, curve=self._curve)
            if sample.depth_m is None and sample.coc_px is not None:
                depth_m = self._curve.depth_m(sample.coc_px)
                sample = replace(sample, depth_m=np.where(np.isfinite(depth_m), depth_m, np.nan).astype(np.float32))
        if self._input_part == "aif":
            if sample.aif is None:
                raise DatasetError(f"{sample.name}: has no all-in-focus image; data.input cannot be aif")
            sample = replace(sample, defocused=sample.aif)
        return sample


def open_sources(config: DataConfig, seed: int, typical_floor_px: float = 0.0) -> Sources:
    """Open what a recipe learns from and measures on.

    Args:
        config: the recipe's section.
        seed: of generated scenes and of noise.
        typical_floor_px: blur floor of cameras whose lens states none.

    Raises:
        ConfigError: the recipe lacks what its data need.
        DatasetError: the data are not as described.
    """
    if config.kind == GENERATED:
        resolved = config.lens.resolved() if config.lens is not None else None
        curve, lens = (None, None) if resolved is None else (resolved.curve, resolved.lens)
        scenes, held_back = _generated(config, curve, seed)
        learnt, measured = (WithLens(source, curve, config.input) for source in (scenes, held_back))
        kept = scenes if isinstance(scenes, KeptScenes) else None
        return Sources(learnt, measured, lens, curve, GENERATED, kept=kept)
    if config.path is None:
        raise ConfigError(f"data.kind {config.kind} needs a folder; give --data DIR or data.path")
    kind = recognise(config.path) if config.kind == "auto" else config.kind
    resolved = _lens_of(config, config.path, kind, typical_floor_px)
    curve = None if resolved is None else resolved.curve
    unit_m = None if config.depth_unit is None else parse_depth_unit(config.depth_unit)
    dataset = open_dataset(
        config.path, kind, curve=curve, point_spread=config.point_spread, seed=seed, depth_unit_m=unit_m
    )
    notes = [] if resolved is None else list(resolved.notes)
    added_px = 0.0
    if resolved is not None and resolved.floor_assumed and typical_floor_px:
        notes.append(
            f"the lens states no blur_floor_px: {typical_floor_px:.1f} px, typical of ordinary cameras, is part of the "
            "blur that is taught; `dfd calibrate-lens` measures it"
        )
        added_px = 0.0 if layout_of(kind).sharp else typical_floor_px  # what is blurred here holds it already
    notes += unit_lines_of(dataset, "depth_unit_m in dataset.yaml, or data.depth_unit of the recipe,")
    train = select_split(dataset, config.train_split)
    validation = _validation(dataset, config)
    return Sources(
        _with_lens(train, curve, config, added_px),
        _with_lens(validation, curve, config, added_px),
        None if resolved is None else resolved.lens,
        curve,
        kind,
        tuple(notes),
    )


def evenly_chosen(dataset: DefocusDataset, count: int | None) -> DefocusDataset:
    """`count` samples spread over the data set; all of them when None or more than there are."""
    if count is None or count >= len(dataset):
        return dataset
    return Subset(dataset, spread_over(len(dataset), count), "validation")


def centre_crop(sample: DefocusSample, longest_side_px: int | None) -> DefocusSample:
    """The middle of an image that is larger."""
    if longest_side_px is None or max(sample.size) <= longest_side_px:
        return sample
    height, width = (min(side, longest_side_px) for side in sample.size)
    return cropped(sample, (sample.size[1] - width) // 2, (sample.size[0] - height) // 2, width, height)


def _generated(config: DataConfig, curve: DefocusCurve | None, seed: int) -> tuple[SceneSource, SceneSource]:
    largest_coc_px = config.largest_coc_px
    if curve is not None and curve.side == "far":
        # More blur than at infinity has no depth with this lens.
        largest_coc_px = min(largest_coc_px, curve.gain_px_per_dioptre / curve.focus_distance_m)
    textures = TextureBank()
    if config.textures is not None:
        if not config.textures.is_dir():
            raise ConfigError(f"data.textures is {config.textures}: no such folder; see docs/training-data.md")
        textures = TextureBank.from_folder(config.textures)
        textures.photograph_share = config.photograph_share
    rendered = None
    if config.rendered is not None:
        if not config.rendered.is_dir():
            raise ConfigError(f"data.rendered is {config.rendered}: no such folder; leave it out to do without")
        rendered = RenderedScenes(config.rendered)
    train = GeneratedScenes(
        textures=textures,
        rendered=rendered,
        rendered_share=config.rendered_share,
        detailed_share=config.detailed_share,
        size_px=config.scene_size_px,
        largest_coc_px=largest_coc_px,
        seed=seed,
        length=config.scenes,
        uses=config.uses,
    )
    other_seed = seed + VALIDATION_SEED_STEP
    measured = replace(
        train,
        seed=other_seed,
        length=config.validation_scenes,
        uses=1,
        detailed_share=0.0,  # measured alike whatever is learnt from
        name="generated-validation",
    )
    if config.keep_scenes is None:
        return train, measured
    return KeptScenes(train, config.keep_scenes / "train"), KeptScenes(measured, config.keep_scenes / "validation")


def _validation(dataset: DefocusDataset, config: DataConfig) -> DefocusDataset:
    split = config.validation_split
    if split == "auto":
        named = [name for name in ("val", "test") if len(dataset.splits.get(name, ()))]
        if not named:
            raise DatasetError(
                f"{dataset.name}: has no split val or test to measure on ({counted(len(dataset), 'frame')}; a folder "
                "holds back its last fifth); record more, or name a split with data.validation_split"
            )
        split = named[0]
    if split == config.train_split:
        raise ConfigError(f"data.validation_split and train_split are both {split!r}; measure on other samples")
    return select_split(dataset, split)


def _with_lens(
    dataset: DefocusDataset, curve: DefocusCurve | None, config: DataConfig, floor_px: float
) -> DefocusDataset:
    if curve is None and config.input == "defocused":
        return dataset
    return WithLens(dataset, curve, config.input, floor_px)


def _lens_of(config: DataConfig, path: Path, kind: str, floor_px: float) -> ResolvedLens | None:
    """The lens of a data set's images: what it states itself, else that of the recipe on its camera."""
    if layout_of(kind).sharp:
        return None if config.lens is None else lens_on(config.lens, open_sharp(path, kind), floor_px=floor_px)
    described = read_description(path) if (path / DESCRIPTION_NAME).is_file() else None
    own = None if described is None else described.resolved(floor_px)
    if config.lens is None:
        return own
    camera = open_dataset(path, kind)[0].camera
    of_recipe = None
    if camera is not None or own is None:
        of_recipe = config.lens.resolved(None if camera is None else camera.fx, floor_px=floor_px)
    if own is None:
        return of_recipe
    if of_recipe is None or of_recipe.curve == own.curve:
        return own
    note = (
        f"{path.name} states its lens (K {own.curve.gain_px_per_dioptre:.2f} px per dioptre); data.lens of the recipe "
        f"(K {of_recipe.curve.gain_px_per_dioptre:.2f}) is not used"
    )
    return own._replace(notes=(*own.notes, note))
