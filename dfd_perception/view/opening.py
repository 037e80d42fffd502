# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What `dfd view` is asked to show, and the feed for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dfd_perception.bags.reader import BagReader
from dfd_perception.bags.storage import is_bag
from dfd_perception.core.lens import LensDescription
from dfd_perception.core.optics import require_possible
from dfd_perception.datasets.folder import DESCRIPTION_NAME
from dfd_perception.errors import DatasetError, ImageError, UsageError, counted
from dfd_perception.evaluation.sources.bag_options import BagOptions
from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions
from dfd_perception.media.capture import CaptureRequest, shown_address
from dfd_perception.media.files import ImageFiles
from dfd_perception.media.source import open_source
from dfd_perception.view.feed import Feed
from dfd_perception.view.model_feed import AlbumFeed, ModelView, SceneFeed
from dfd_perception.view.recorded import RecordedScene, answers_of
from dfd_perception.view.scene import (
    Album,
    BagScene,
    FilesAlbum,
    FixedLens,
    MovingScene,
    SceneImage,
    SessionAlbum,
)

Opened = FilesAlbum | SessionAlbum | MovingScene | BagScene | RecordedScene


@dataclass(frozen=True, kw_only=True)
class ViewRequest:
    """What to show, and the model that is to run on it."""

    words: Sequence[str]
    """A bag, a session, or image files, a folder, a video, a camera, a URL."""
    model: str = "2hded-small"
    recorded: bool = False
    """Show what was recorded; run no model."""
    lens: LensDescription | None = None
    fx_px: float | None = None
    bag: BagOptions = field(default_factory=BagOptions)
    capture: CaptureRequest = field(default_factory=CaptureRequest)
    estimator: EstimatorOptions = field(default_factory=EstimatorOptions)


def open_feed(request: ViewRequest) -> Feed:
    """Open what is to be shown, and the model. The first image is read, so that a page opens for what can be shown.

    Raises:
        UsageError: nothing there, nothing of it can be read, or it cannot be shown so; what was open is released.
    """
    if request.fx_px is not None:
        require_possible(fx_px=request.fx_px)
    opened = _opened(request)
    try:
        if request.recorded and isinstance(opened, (FilesAlbum, MovingScene)):
            raise UsageError("--recorded is for a bag or a session; an image alone has nothing recorded beside it")
        first = _first_image(opened)
        if request.lens is not None and first is not None:
            request.lens.resolved(first.fx_px)  # a lens that cannot give depth
        estimator = None
        if not request.recorded and not isinstance(opened, RecordedScene):
            estimator = DepthEstimator(load_model_folder(request.model), request.estimator)
    except BaseException:
        if not isinstance(opened, (FilesAlbum, SessionAlbum)):
            opened.close()
        raise
    view = ModelView(estimator)
    return AlbumFeed(opened, view) if isinstance(opened, (FilesAlbum, SessionAlbum)) else SceneFeed(opened, view)


def _first_image(opened: Opened) -> SceneImage | None:
    """The first image that can be read; None of a camera or stream, which is not waited for.

    Raises:
        UsageError: there is none.
    """
    if isinstance(opened, (FilesAlbum, SessionAlbum)):
        return _first_readable(opened)
    if opened.live:
        return None
    first = next(opened.images(), None)
    if first is None:
        raise DatasetError(f"{opened.title}: nothing to show; no image of it is complete")
    return first


def _first_readable(album: Album) -> SceneImage:
    reasons = []
    for index in range(len(album)):
        try:
            return album.image(index)
        except UsageError as error:
            reasons.append(error)
    if len(reasons) == 1:
        raise reasons[0]
    raise ImageError(f"{album.title}: none of {counted(len(reasons), 'image')} can be read; the first: {reasons[0]}")


def _opened(request: ViewRequest) -> Opened:
    words, fixed = list(request.words), FixedLens(request.lens, request.fx_px)
    path = Path(words[0])
    if len(words) == 1 and is_bag(path):
        return _opened_bag(path, request)
    if len(words) == 1 and (path / DESCRIPTION_NAME).is_file():
        return SessionAlbum(path, fixed)
    if request.lens is not None:
        request.lens.resolved(request.fx_px)  # before a camera opens
    source = open_source(words, request.capture)
    title = _title(words[0]) if len(words) == 1 and not words[0].isdigit() else source.name
    if isinstance(source, ImageFiles):
        return FilesAlbum(source, title, fixed)
    return MovingScene(source, title, fixed)


def _title(word: str) -> str:
    """What a source is called: a file or folder by its name, without the folders that it lies in."""
    return Path(word).resolve().name if Path(word).exists() else shown_address(word)


def _opened_bag(path: Path, request: ViewRequest) -> BagScene | RecordedScene:
    """The node's answers if they were recorded and no lens asks for running the model again."""
    with BagReader(path) as bag:
        answered = bool(answers_of(bag))
    if answered and request.lens is None:
        return RecordedScene(path)
    return BagScene(path, request.bag, FixedLens(request.lens, request.fx_px))
