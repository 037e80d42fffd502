# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What to evaluate, as plain values that reach other processes and machines; `opened.py` opens it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from dfd_perception.bags.storage import find_files
from dfd_perception.core.lens import LensDescription
from dfd_perception.core.optics import require_possible
from dfd_perception.core.point_spread import DISK, PointSpread
from dfd_perception.errors import ConfigError, LensError, reading
from dfd_perception.evaluation.predictors import BASELINES
from dfd_perception.evaluation.scoring.protocol import Protocol
from dfd_perception.evaluation.sources.bag_options import BagOptions
from dfd_perception.evaluation.sources.dataset_source import FrameFilter
from dfd_perception.files.lens_file import read_lens
from dfd_perception.files.model_folder import ModelFolder, load_model_folder
from dfd_perception.inference.estimator import EstimatorOptions

FloorChoice = Literal["auto", "fitted", "lens"]
"""auto: fitted for data sets whose lens states no floor; that of the lens, or the card's, for the rest."""


@dataclass(frozen=True, kw_only=True)
class EvaluationPlan:
    """One evaluation. Either `bags` or `data`."""

    model: str
    """Name or path of the model."""
    out: Path
    bags: tuple[Path, ...] = ()
    data: Path | None = None
    data_kind: str | None = None
    """Layout of `data`; None: by its look."""
    split: str | None = None
    lens: Path | None = None
    fx_px: float | None = None
    """Focal length of the images; None: that of their camera."""
    floor: FloorChoice = "auto"
    """Blur floor of the truth: fitted to each source, or that of the lens (the model card's where it has none)."""
    frames: FrameFilter = field(default_factory=FrameFilter)
    """Which frames of a data set count."""
    point_spread: PointSpread = DISK
    """Shape of the blur given to sharp RGB-D images."""
    sharp_input: bool = False
    """Feed the all-in-focus image instead of the defocused one (the thesis' chapter 2 works on sharp images)."""
    predictions: Path | None = None
    """Bag of answers to score instead of running the model (live mode)."""
    bag_options: BagOptions = field(default_factory=BagOptions)
    estimator: EstimatorOptions = field(default_factory=EstimatorOptions)
    protocol: Protocol = field(default_factory=Protocol)
    baselines: tuple[str, ...] = ()
    """Names of BASELINES."""
    write_bag: bool = False
    """Also write the answers as OUT/results_BAG."""
    depth_range_m: tuple[float, float] | None = None
    """Range of the colours; None: that of the node."""

    def __post_init__(self) -> None:
        if bool(self.bags) == (self.data is not None):
            raise ConfigError("give bags or a data set to evaluate, exactly one of them")
        unknown = [name for name in self.baselines if name not in BASELINES]
        if unknown:
            raise ConfigError(f"baseline is {unknown[0]!r}; expected {', '.join(BASELINES)}")
        if self.fx_px is not None:
            require_possible(fx_px=self.fx_px)
        if self.predictions is not None and len(self.bags) != 1:
            raise ConfigError("answers of a node belong to one bag; give that bag alone")

    def require_inputs(self) -> ModelFolder:
        """Look at model, lens, bags and data before anything is written or removed; returns the model, checked.

        Raises:
            UsageError: one of them is not there, or is something else.
        """
        model = load_model_folder(self.model)
        self.identity(model)
        _ = self.lens_description
        for bag in self.bags:
            find_files(bag)
        if self.data is not None and self.data_kind is None:
            from dfd_perception.datasets.registry import recognise

            recognise(self.data)
        return model

    def identity(self, model: ModelFolder) -> dict[str, Any]:
        """What rows must agree on to be of one evaluation; paths of the machine and threads are not part of it."""
        options = dataclasses.asdict(self.estimator)
        for name in ("engine_cache_dir", "num_threads"):
            options.pop(name)
        return {
            "model": model.card.weights.sha256,
            "bags": self.units(),
            "data": None if self.data is None else str(self.data),
            "kind": self.data_kind,
            "split": self.split,
            "lens": self._lens_text(),
            "fx_px": self.fx_px,
            "floor": self.floor,
            "frames": dataclasses.asdict(self.frames),
            "bag_options": dataclasses.asdict(self.bag_options),
            "estimator": {name: _plain(value) for name, value in options.items()},
            "point_spread": dataclasses.asdict(self.point_spread) | {"exponent": str(self.point_spread.exponent)},
            "sharp_input": self.sharp_input,
            "protocol": self.protocol.described(),
            "baselines": list(self.baselines),
            "predictions": self.predictions is not None,
        }

    def _lens_text(self) -> str | None:
        if self.lens is None:
            return None
        with reading(self.lens, LensError, "expected a lens file"):
            return self.lens.read_text("utf-8")

    def units(self) -> list[str]:
        """Name of each bag within the evaluation: its own, with a number where two have the same."""
        names: list[str] = []
        for path in self.bags:
            name = path.resolve().name
            count = sum(1 for earlier in names if earlier.partition("#")[0] == name)
            names.append(f"{name}#{count + 1}" if count else name)
        return names

    @cached_property
    def lens_description(self) -> LensDescription | None:
        """LENS.yaml, read."""
        return None if self.lens is None else read_lens(self.lens)

    def fits_floor(self, model: ModelFolder) -> bool:
        """Whether each source's floor is read by the model itself off frames that are not scored with it."""
        if model.card.target != "coc" or model.card.blur != "total" or self.predictions is not None:
            return False
        if self.floor == "auto":
            stated = self.lens_description is not None and self.lens_description.blur_floor_px is not None
            return self.data is not None and not stated
        return self.floor == "fitted"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value == float("inf"):
        return "inf"
    return list(value) if isinstance(value, tuple) else value
