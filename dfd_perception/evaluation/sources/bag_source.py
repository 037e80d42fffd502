# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Frames of a bag: images with the truth that was recorded beside them, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dfd_perception.bags.reader import BagMessage, BagReader
from dfd_perception.core.lens import LensDescription
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.size import Size
from dfd_perception.core.stamps import header_stamp_ns
from dfd_perception.errors import DatasetError, ImageError
from dfd_perception.evaluation.sources.bag_options import BagOptions
from dfd_perception.evaluation.sources.bag_topics import BagTopics, choose_topics
from dfd_perception.evaluation.sources.bag_truth import (
    board,
    depth_m_of,
    image_of,
    lens_on_camera,
    require_registered,
    require_same_view,
)
from dfd_perception.evaluation.sources.frame import EvaluationFrame, LensRecord
from dfd_perception.evaluation.sources.image_pairing import PairedImage, TruthPairing


class BagSource:
    """A bag as a FrameSource."""

    def __init__(
        self,
        path: Path,
        options: BagOptions | None = None,
        lens: LensDescription | None = None,
        model_curve: DefocusCurve | None = None,
        unit: str | None = None,
        fx_px: float | None = None,
    ) -> None:
        """Open the bag and choose its topics.

        Args:
            path: of the bag.
            options: topics and bounds.
            lens: of the camera; with camera_info or its pixel pitch it gives the blur of a depth.
            model_curve: used when there is no lens file: that of a `depth` model.
            unit: name within the evaluation; default the bag's own.
            fx_px: focal length of the images, instead of that of camera_info.

        Raises:
            DatasetError: unreadable, or topics that are absent, of another type or ambiguous.
        """
        self.path, self.options = path, options or BagOptions()
        self.unit = unit or path.name
        self._lens, self._model_curve, self._fx_px = lens, model_curve, fx_px
        scale = "fx as given" if fx_px is not None else "fx of camera_info, or of the pixel pitch without one"
        origin = "the model's card" if lens is None else f"the lens that was given, {scale}"
        self._record = LensRecord(
            origin,
            "no lens was given (--lens), so that a model of blur gives no depth"
            if lens is None
            else "the lens was given, but neither camera_info, --fx nor a pixel pitch says how large its images are",
        )
        self._bag = BagReader(path)
        try:
            o = self.options
            self.topics: BagTopics = choose_topics(self._bag, o.image_topic, o.depth_topic, o.aif_topic)
        except DatasetError:
            self._bag.close()
            raise
        self._pairing: dict[str, dict[str, int]] = {}
        self._unpaired: list[str] = []
        self._problems: list[str] = []
        self._without_depth = 0
        """Images whose true depth has no valid pixel."""
        self._unreadable = 0
        self._checked = False

    @property
    def all_frames(self) -> int:
        """A bag belongs to one share whole."""
        return len(self)

    def __len__(self) -> int:
        count = self._bag.topics[self.topics.image].message_count
        return count if self.options.max_frames is None else min(count, self.options.max_frames)

    def frames(self, skip: Collection[int] = ()) -> Iterator[EvaluationFrame]:
        """All images of the bag with their truth; those that cannot be decoded are counted and left out.

        Raises:
            DatasetError, ImageError: the first image or the first truth cannot be used.
        """
        self._unreadable = self._without_depth = 0
        yield from self._chosen(lambda index: index not in skip)

    def reread(self, indices: Collection[int]) -> Iterator[EvaluationFrame]:
        """A few frames; the others are not decoded."""
        counted = self._unreadable, self._without_depth, list(self._problems)
        yield from self._chosen(set(indices).__contains__)
        self._unreadable, self._without_depth, self._problems = counted

    def _chosen(self, counts: Callable[[int], bool]) -> Iterator[EvaluationFrame]:
        for paired, camera in self._paired():
            if not counts(paired.index):
                continue
            try:
                yield self._frame(paired, camera)
            except DatasetError as error:
                raise DatasetError(f"{self.path}: {error}") from error
            except ImageError as error:
                if paired.index == 0:
                    raise ImageError(f"{self.path}: {error}") from error
                self._unreadable += 1
                self._note(f"image {paired.index}: {error}")

    def description(self) -> dict[str, Any]:
        """Topics, pairs and losses."""
        return {
            "kind": "bag",
            "unit": self.unit,
            "path": str(self.path),
            "topics": {name: topic for name, topic in asdict(self.topics).items() if topic is not None},
            "pictures": len(self),
            "unreadable": self._unreadable,
            "pairing_bound_ms": self.options.bound_ms,
            "pairing": self._pairing,
            "lost": [*self._bag.problems, *self._problems, *self._empty_depth(), *self._unpaired],
            "lens": self._record.described(),
            **({"empty_depth": self._without_depth} if self._without_depth else {}),
        }

    def close(self) -> None:
        """Release the bag."""
        self._bag.close()

    def _paired(self) -> Iterator[tuple[PairedImage, Any]]:
        topics = self.topics
        truth = [topic for topic in (topics.depth, topics.aif) if topic is not None]
        if self.options.board_distance_m is not None:
            truth = [topic for topic in truth if topic != topics.depth]
        pairing = TruthPairing(truth, self.options.bound_ms)
        # The first camera_info may be recorded after the first image, and belongs to it all the same.
        first = None if topics.camera_info is None else next(self._messages([topics.camera_info]), None)
        camera = None if first is None else first.message
        for record in self._messages([topics.image, *truth, *([topics.camera_info] if topics.camera_info else [])]):
            if record.topic == topics.camera_info:
                camera = record.message
                continue
            stamp_ns = self._stamp_ns(record)
            if record.topic == topics.image:
                complete = pairing.add_image(stamp_ns, record)
            else:
                complete = pairing.add_truth(record.topic, stamp_ns, record)
            for paired in complete:
                if paired.index >= len(self):
                    self._account(pairing)
                    return
                yield paired, camera
        for paired in pairing.finish():
            if paired.index < len(self):
                yield paired, camera
        self._account(pairing)

    def _account(self, pairing: TruthPairing) -> None:
        self._pairing, self._unpaired = pairing.counts(), pairing.remarks()

    def _messages(self, topics: list[str]) -> Iterator[BagMessage]:
        messages = self._bag.messages(topics)
        while True:
            try:
                yield next(messages)
            except StopIteration:
                return
            except DatasetError as error:
                self._note(f"{error}; what follows is not read")
                return

    def _stamp_ns(self, record: BagMessage) -> int:
        if self.options.stamps == "log":
            return record.stamp_ns
        stamp_ns = header_stamp_ns(record.message.header)
        if stamp_ns == 0:
            raise DatasetError(
                f"{self.path}: topic {record.topic} has a stamp of zero; frames cannot be paired by it, "
                "--stamps log pairs by the time of recording"
            )
        return stamp_ns

    def _frame(self, paired: PairedImage, camera: Any) -> EvaluationFrame:
        record: BagMessage = paired.image
        image = image_of(record)
        depth_message, aif_message = (paired.truth.get(t) if t else None for t in (self.topics.depth, self.topics.aif))
        depth = aif = None
        if self.options.board_distance_m is not None:
            depth = board(image.shape[:2], self.options.board_distance_m, self.options.board_region)
        elif depth_message is not None:
            require_registered(record, depth_message, self.options.any_frame)
            depth = depth_m_of(depth_message, self.options.depth_unit_m)
            require_same_view(depth, image, depth_message.topic)
            if not np.isfinite(depth).any():
                self._without_depth += 1
                depth = None
        if aif_message is not None:
            aif = image_of(aif_message)
            require_same_view(aif, image, aif_message.topic)
        curve = self._model_curve if self._lens is None else self._curve(camera, (image.shape[0], image.shape[1]))
        self._record.add(curve)
        return EvaluationFrame(
            unit=self.unit,
            index=paired.index,
            name=f"{paired.index:06d}",
            stamp_ns=self._stamp_ns(record),
            frame_id=record.message.header.frame_id,
            defocused=image,
            depth_m=depth,
            aif=aif,
            curve=curve,
            camera_info=camera,
        )

    def _curve(self, info: Any, size: Size) -> DefocusCurve | None:
        assert self._lens is not None
        resolved = lens_on_camera(self._lens, info, size, self.topics.image, self.options.rectified, self._fx_px)
        for note in () if resolved is None else resolved.notes:
            self._note(note)
        return None if resolved is None else resolved.curve

    def _empty_depth(self) -> list[str]:
        if not self._without_depth:
            return []
        return [
            f"{self._without_depth} depth images of {self.topics.depth} have no valid pixel (every one is 0, 65535, "
            "not finite or not positive): not scored"
        ]

    def _note(self, problem: str) -> None:
        if problem not in self._problems and len(self._problems) < 20:
            self._problems.append(problem)
