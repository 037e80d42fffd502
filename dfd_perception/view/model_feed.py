# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Runs a model on a scene for the page: in the scene's own time where it has one, image by image where not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.core.prediction import Prediction
from dfd_perception.errors import UsageError
from dfd_perception.inference.estimator import DepthEstimator
from dfd_perception.view.frame_slot import FrameSlot, Status, ViewFrame
from dfd_perception.view.scene import Album, Scene, SceneImage
from dfd_perception.view.telemetry import Telemetry

SLIDE_S = 3.0
"""How long an image file stays when leafing by itself."""


class ModelView:
    """Runs the model on one image and shows it; without a model, what was recorded beside the image."""

    def __init__(self, estimator: DepthEstimator | None) -> None:
        self.telemetry = Telemetry(estimator)
        self._estimator = estimator

    def show(self, slot: FrameSlot, image: SceneImage) -> None:
        """Put the image and its maps on the page.

        Raises:
            ImageError, BackendError: the model cannot run on it.
        """
        if self._estimator is not None and slot.frame is None:
            slot.report(Status(message="preparing the model", time_s=time.time()))
        prediction = self._predicted(image)
        images: dict[str, Any] = {"input": image.image_rgb, "deblurred": prediction.deblurred}
        maps: dict[str, Any] = {
            "depth": prediction.depth_m,
            "std": prediction.depth_std_m,
            "blur": prediction.coc_px,
            "measured": image.depth_m,
        }
        if self._estimator is None and image.recorded is None:
            maps = {"depth": image.depth_m}
        images, maps = ({k: v for k, v in parts.items() if v is not None} for parts in (images, maps))
        camera = image.camera
        if camera is not None and "depth" in maps:
            camera = camera.scaled(size=maps["depth"].shape)
        slot.show(ViewFrame(stamp_ns=image.stamp_ns, name=image.name, images=images, maps=maps, camera=camera))

    def close(self) -> None:
        """Release the model."""
        if self._estimator is not None:
            self._estimator.close()

    def _predicted(self, image: SceneImage) -> Prediction:
        if image.recorded is not None:
            return image.recorded
        if self._estimator is None or image.image_rgb is None:
            return Prediction(deblurred=image.aif)
        heads = self._estimator.model.card.all_heads
        curve = self._resolved(image)
        prediction = self._estimator.predict(image.image_rgb, curve, heads)
        size = image.image_rgb.shape[0], image.image_rgb.shape[1]
        self.telemetry.answered(size, prediction, self._estimator.compiled(size, heads).chosen.backend.name, curve)
        return prediction

    def _resolved(self, image: SceneImage) -> DefocusCurve | None:
        """The lens on the image's camera; what the person should know about it goes to the page."""
        assert self._estimator is not None
        model = self._estimator.model
        if model.card.target == "depth":
            return None
        if image.lens is None:
            self.telemetry.notes = [f"no depth: {model.name} measures blur; give the lens with --lens to get metres"]
            return None
        resolved = model.resolve(image.lens, image.fx_px)
        self.telemetry.notes = [*model.warnings_for(resolved.curve), *resolved.notes]
        return resolved.curve


class AlbumFeed:
    """A Feed of images to leaf through."""

    def __init__(self, album: Album, view: ModelView) -> None:
        self.title = album.title
        self.controls: tuple[str, ...] = ("previous", "pause", "next") if len(album) > 1 else ()
        self._album, self._view = album, view
        view.telemetry.timed = False
        self._condition = threading.Condition()
        self._paused, self._move = True, 0

    def command(self, name: str) -> None:
        """Press a button."""
        with self._condition:
            if name in ("pause", "play"):
                self._paused = name == "pause"
            else:
                self._move += 1 if name == "next" else -1
            self._condition.notify_all()

    def run(self, slot: FrameSlot, stop: threading.Event) -> None:
        """Show images as the buttons say. One that cannot be read is named on the page.

        Raises:
            UsageError: the only image cannot be read.
        """
        position = 0
        try:
            while not stop.is_set():
                if not slot.wait_for_viewer(0.2):
                    continue
                self._show(slot, position)
                position = (position + self._wait_for_move(stop)) % len(self._album)
        finally:
            self._view.close()

    def run_once(self, slot: FrameSlot, stop: threading.Event) -> None:
        """Show every image once; one that cannot be read is reported, and the others follow."""
        try:
            for position in range(len(self._album)):
                if stop.is_set():
                    return
                self._show(slot, position)
        finally:
            self._view.close()

    def _show(self, slot: FrameSlot, position: int) -> None:
        try:
            self._view.show(slot, self._album.image(position))
            self._view.telemetry.report(slot, f"{position + 1} of {len(self._album)}")
        except UsageError as error:
            if len(self._album) == 1:
                raise
            slot.report(Status(level=2, message=str(error), time_s=time.time()))

    def _wait_for_move(self, stop: threading.Event) -> int:
        """Wait for a button, or for the time of a slide to be over; returns by how many images to go on."""
        until_s = time.monotonic() + SLIDE_S
        while not stop.is_set():
            with self._condition:
                if self._move:
                    move, self._move = self._move, 0
                    return move
                if self._paused:
                    until_s = time.monotonic() + SLIDE_S
                elif time.monotonic() >= until_s:
                    return 1
                self._condition.wait(0.1)
        return 0


class SceneFeed:
    """A Feed of images with a time of their own: over and over unless they are live, idle while nobody looks."""

    controls: tuple[str, ...] = ("pause",)

    def __init__(self, scene: Scene, view: ModelView) -> None:
        self.title = scene.title
        self._scene, self._view = scene, view
        self._paused = False

    def command(self, name: str) -> None:
        """Press a button."""
        self._paused = name == "pause"

    def run(self, slot: FrameSlot, stop: threading.Event) -> None:
        """Show the scene.

        Raises:
            DfdPerceptionError: it cannot be read, or the model cannot run.
        """
        try:
            while not stop.is_set():
                for image in self._in_time(slot, stop):
                    self._view.show(slot, image)
                    self._view.telemetry.report(slot, "running")
                if self._scene.live:
                    self._view.telemetry.end(slot)
                    return
        finally:
            self._scene.close()
            self._view.close()

    def run_once(self, slot: FrameSlot, stop: threading.Event) -> None:
        """Show every image of the scene once, without waiting for its time.

        Raises:
            DfdPerceptionError: it cannot be read, or the model cannot run.
        """
        self._view.telemetry.every_image = True
        try:
            for image in self._scene.images():
                if stop.is_set():
                    return
                self._view.show(slot, image)
                self._view.telemetry.report(slot, "running")
        finally:
            self._scene.close()
            self._view.close()

    def _in_time(self, slot: FrameSlot, stop: threading.Event) -> Iterator[SceneImage]:
        """The scene's images when they are due; those that are overdue are left out."""
        behind_s: float | None = None
        last_s = 0.0
        for image in self._scene.images():
            self._view.telemetry.received()
            while (self._paused or not slot.wait_for_viewer(0.0)) and not stop.is_set():
                stop.wait(0.05) if self._paused else slot.wait_for_viewer(0.2)
                behind_s = None
            if stop.is_set():
                return
            if self._scene.live:
                yield image
                continue
            now_s = time.monotonic()
            behind_s = now_s - image.time_s if behind_s is None else behind_s
            late_s = now_s - (behind_s + image.time_s)
            if late_s > max(0.05, image.time_s - last_s):
                self._view.telemetry.dropped += 1
                continue
            if late_s < 0 and stop.wait(-late_s):
                return
            last_s = image.time_s
            yield image
