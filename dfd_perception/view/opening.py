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
from dfd_perception.datasets.folder import DESCRIPTION_NAME
from dfd_perception.errors import UsageError
from dfd_perception.evaluation.sources.bag_options import BagOptions
from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions
from dfd_perception.media.capture import CaptureRequest, shown_address
from dfd_perception.media.files import ImageFiles
from dfd_perception.media.source import open_source
from dfd_perception.view.feed import Feed
from dfd_perception.view.model_feed import AlbumFeed, ModelView, SceneFeed
from dfd_perception.view.recorded import RecordedScene, answers_of
from dfd_perception.view.scene import BagScene, FilesAlbum, FixedLens, MovingScene, SessionAlbum


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
    """Open what is to be shown, and the model.

    Raises:
        UsageError: nothing there, or it cannot be shown so.
    """
    opened = _opened(request)
    if request.recorded and isinstance(opened, (FilesAlbum, MovingScene)):
        raise UsageError("--recorded is for a bag or a session; an image alone has nothing recorded beside it")
    estimator = None
    if not request.recorded and not isinstance(opened, RecordedScene):
        estimator = DepthEstimator(load_model_folder(request.model), request.estimator)
    view = ModelView(estimator)
    return AlbumFeed(opened, view) if isinstance(opened, (FilesAlbum, SessionAlbum)) else SceneFeed(opened, view)


def _opened(request: ViewRequest) -> FilesAlbum | SessionAlbum | MovingScene | BagScene | RecordedScene:
    words, fixed = list(request.words), FixedLens(request.lens, request.fx_px)
    path = Path(words[0])
    if len(words) == 1 and is_bag(path):
        return _opened_bag(path, request)
    if len(words) == 1 and (path / DESCRIPTION_NAME).is_file():
        return SessionAlbum(path, fixed)
    if request.lens is not None:
        request.lens.resolved(request.fx_px)  # before anything opens: a lens that cannot give depth
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
