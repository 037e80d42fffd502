# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What to evaluate, as plain values that reach other processes and machines, and what each of them opens from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dfd_perception.bags.storage import find_files
from dfd_perception.core.lens import LensDescription
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.point_spread import DISK, PointSpread
from dfd_perception.errors import ConfigError, DatasetError, LensError, reading
from dfd_perception.evaluation.predictors import BASELINES
from dfd_perception.evaluation.preparation import Preparation
from dfd_perception.evaluation.scoring.protocol import Protocol
from dfd_perception.evaluation.sources.bag_options import BagOptions
from dfd_perception.evaluation.sources.bag_source import BagSource
from dfd_perception.evaluation.sources.dataset_source import DatasetSource, FrameFilter
from dfd_perception.evaluation.sources.frame import FrameSource
from dfd_perception.evaluation.sources.pair_source import PairSource
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
        if self.predictions is not None and len(self.bags) != 1:
            raise ConfigError("answers of a node belong to one bag; give that bag alone")

    def require_inputs(self) -> None:
        """Look at model, lens, bags and data before anything is written or removed.

        Raises:
            UsageError: one of them is not there, or is something else.
        """
        self.identity(self.opened_model())
        if self.lens is not None:
            read_lens(self.lens)
        for bag in self.bags:
            find_files(bag)
        if self.data is not None and self.data_kind is None:
            from dfd_perception.datasets.registry import recognise

            recognise(self.data)

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
            count = sum(1 for given in names if given.partition("#")[0] == name)
            names.append(f"{name}#{count + 1}" if count else name)
        return names

    def opened_model(self) -> ModelFolder:
        """The model's folder, checked."""
        return load_model_folder(self.model)

    def lens_description(self, model: ModelFolder) -> LensDescription | None:
        """LENS.yaml, read; the model's typical blur floor stands in where it gives none and none is fitted."""
        if self.lens is None:
            return None
        lens = read_lens(self.lens)
        if self.fits_floor(model):
            return dataclasses.replace(lens, blur_floor_px=0.0)
        if lens.blur_floor_px is not None:
            return lens
        return dataclasses.replace(lens, blur_floor_px=model.card.typical_floor_px)

    def fits_floor(self, model: ModelFolder) -> bool:
        """Whether each source's floor is read by the model itself off frames that are not scored with it."""
        if model.card.target != "coc" or model.card.blur != "total" or self.predictions is not None:
            return False
        if self.floor == "auto":
            stated = self.lens is not None and read_lens(self.lens).blur_floor_px is not None
            return self.data is not None and not stated
        return self.floor == "fitted"

    def preparation(self, model: ModelFolder, sources: Sequence[dict[str, Any]] = ()) -> Preparation:
        """What frames go through before they are measured; `sources` with their floors, once they are known."""
        preparation = Preparation(
            protocol=self.protocol, sharp_input=self.sharp_input, one_sided=model.card.target == "coc"
        )
        preparation.add_floors(list(sources))
        return preparation

    def sources(self, model: ModelFolder, share: tuple[int, int] = (0, 1)) -> Iterator[FrameSource]:
        """Open the share's sources one after the other; the caller closes each.

        Args:
            model: its lens stands in where none is given.
            share: (i, n): this worker's part, every n-th bag or every n-th frame of a data set.
        """
        lens = self.lens_description(model)
        card_lens = model.card.lens
        model_curve = None if card_lens is None else card_lens.defocus_curve()
        if self.data is None:
            for path, unit in list(zip(self.bags, self.units(), strict=True))[share[0] :: share[1]]:
                yield BagSource(path, self.bag_options, lens, model_curve, unit, self.fx_px)
            return
        from dfd_perception.datasets.registry import open_dataset

        blur = self._blur(lens, model_curve)
        opened = open_dataset(
            self.data, self.data_kind, self.split, blur, self.point_spread,
            depth_unit_m=self.bag_options.depth_unit_m,
        )  # fmt: skip
        dataset = self.frames.applied(opened)
        # Images blurred here carry their lens; naming it again could only contradict.
        lens = None if blur is not None else lens
        most = self.bag_options.max_frames
        source = DatasetSource(dataset, self.data, self.split, lens, model_curve, share, self.fx_px, most)
        ratio = getattr(opened, "aperture_ratio", None)
        yield source if ratio is None else PairSource(source, ratio)

    def _blur(self, lens: LensDescription | None, model_curve: DefocusCurve | None) -> DefocusCurve | None:
        """The lens that sharp RGB-D images are blurred with."""
        if lens is None:
            return model_curve
        from dfd_perception.datasets.registry import LAYOUTS, open_sharp, recognise
        from dfd_perception.datasets.synthesis import lens_on

        assert self.data is not None
        kind = self.data_kind or recognise(self.data)
        if kind not in LAYOUTS:
            raise DatasetError(f"kind of data set is {kind!r}; expected one of {', '.join(LAYOUTS)}")
        if not LAYOUTS[kind].sharp:
            return None
        return lens_on(lens, open_sharp(self.data, kind, self.bag_options.depth_unit_m), self.fx_px).curve


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value == float("inf"):
        return "inf"
    return list(value) if isinstance(value, tuple) else value
