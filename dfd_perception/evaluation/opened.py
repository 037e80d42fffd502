# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What an evaluation reads, opened once and kept for all its stages: model, lens, sources, predictors."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property, partial

from dfd_perception.core.closing import Closing
from dfd_perception.core.lens import LensDescription
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.evaluation.plan import EvaluationPlan
from dfd_perception.evaluation.predictors import ClassicalPredictor, ModelPredictor, Predictor, SharpPredictor
from dfd_perception.evaluation.preparation import Preparation
from dfd_perception.evaluation.result_bag import RecordedPredictor
from dfd_perception.evaluation.sources.bag_source import BagSource
from dfd_perception.evaluation.sources.dataset_source import DatasetSource
from dfd_perception.evaluation.sources.frame import FrameSource
from dfd_perception.evaluation.sources.pair_source import PairSource
from dfd_perception.inference.estimator import DepthEstimator

SOURCES_KEPT = 8
"""Sources that stay open. Hundreds of bags would use up open files, and the disk where compressed ones are unpacked."""


class OpenedEvaluation(Closing):
    """An evaluation ready to run; a context that releases everything."""

    def __init__(self, plan: EvaluationPlan) -> None:
        """Open the model and look at the rest.

        Raises:
            UsageError: model, lens, bags or data are not there, or are something else.
        """
        self.plan = plan
        self.model = plan.require_inputs()
        self.identity = plan.identity(self.model)
        self.preparation = Preparation(
            protocol=plan.protocol, sharp_input=plan.sharp_input, one_sided=self.model.card.target == "coc"
        )
        self.fits_floor = plan.fits_floor(self.model)
        """Whether each source's floor is read by the model itself off frames that are not scored with it."""
        self._stack = ExitStack()
        self._sources: OrderedDict[tuple[str, tuple[int, int]], FrameSource] = OrderedDict()

    def close(self) -> None:
        """Release all."""
        while self._sources:
            self._sources.popitem()[1].close()
        self._stack.close()

    @cached_property
    def estimator(self) -> DepthEstimator:
        """The model, ready to run."""
        estimator = DepthEstimator(self.model, self.plan.estimator)
        self._stack.callback(estimator.close)
        return estimator

    @cached_property
    def predictor(self) -> Predictor:
        """What is evaluated: the model, or what a node answered."""
        if self.plan.predictions is None:
            return ModelPredictor(self.estimator)
        recorded = RecordedPredictor(self.plan.predictions)
        self._stack.callback(recorded.close)
        return recorded

    @cached_property
    def baselines(self) -> list[Predictor]:
        """Those that need one frame at a time."""
        baselines: list[Predictor] = []
        if "sharp" in self.plan.baselines:
            baselines.append(SharpPredictor(self.estimator))
        if "classical" in self.plan.baselines:
            baselines.append(ClassicalPredictor(self.plan.protocol.max_depth_m))
        return baselines

    def sources(self, share: tuple[int, int] = (0, 1)) -> Iterator[FrameSource]:
        """The share's sources one after the other; each is valid until the next.

        Args:
            share: (i, n): this worker's part, every n-th bag or every n-th frame of a data set.
        """
        plan = self.plan
        if plan.data is not None:
            yield self._kept(("", share), partial(self._dataset, share))
            return
        for path, unit in list(zip(plan.bags, plan.units(), strict=True))[share[0] :: share[1]]:
            bag = partial(BagSource, path, plan.bag_options, self._lens, self._card_curve, unit, plan.fx_px)
            yield self._kept((unit, (0, 1)), bag)

    def _kept(self, key: tuple[str, tuple[int, int]], opened: Callable[[], FrameSource]) -> FrameSource:
        if key in self._sources:
            self._sources.move_to_end(key)
            return self._sources[key]
        while len(self._sources) >= SOURCES_KEPT:
            self._sources.popitem(last=False)[1].close()
        self._sources[key] = opened()
        return self._sources[key]

    @cached_property
    def _lens(self) -> LensDescription | None:
        """LENS.yaml; the model's typical blur floor stands in where it gives none and none is fitted."""
        lens = self.plan.lens_description
        if lens is None:
            return None
        if self.fits_floor:
            return dataclasses.replace(lens, blur_floor_px=0.0)
        if lens.blur_floor_px is not None:
            return lens
        return dataclasses.replace(lens, blur_floor_px=self.model.card.typical_floor_px)

    @property
    def _card_curve(self) -> DefocusCurve | None:
        lens = self.model.card.lens
        return None if lens is None else lens.defocus_curve()

    def _dataset(self, share: tuple[int, int]) -> FrameSource:
        from dfd_perception.datasets.registry import open_dataset

        plan = self.plan
        assert plan.data is not None
        blur = self._blur()
        opened = open_dataset(
            plan.data, plan.data_kind, plan.split, blur, plan.point_spread, depth_unit_m=plan.bag_options.depth_unit_m
        )
        dataset = plan.frames.applied(opened)
        # Images blurred here carry their lens; naming it again could only contradict.
        lens = None if blur is not None else self._lens
        most = plan.bag_options.max_frames
        source = DatasetSource(dataset, plan.data, plan.split, lens, self._card_curve, share, plan.fx_px, most)
        ratio = getattr(opened, "aperture_ratio", None)
        return source if ratio is None else PairSource(source, ratio)

    def _blur(self) -> DefocusCurve | None:
        """The lens that sharp RGB-D images are blurred with."""
        lens, plan = self._lens, self.plan
        if lens is None:
            return self._card_curve
        from dfd_perception.datasets.registry import layout_of, open_sharp, recognise
        from dfd_perception.datasets.synthesis import lens_on

        assert plan.data is not None
        kind = plan.data_kind or recognise(plan.data)
        if not layout_of(kind).sharp:
            return None
        return lens_on(lens, open_sharp(plan.data, kind, plan.bag_options.depth_unit_m), plan.fx_px).curve
