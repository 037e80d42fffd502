# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What the page would show, as a recording for the Rerun viewer (https://rerun.io): every frame, none dropped.

    camera              pinhole of the depth, x right, y down, z forward
    camera/input, deblurred              JPEG
    camera/depth, measured               float32 [m], NaN where there is none
    camera/points                        of the depth, in the colours of the image
    std, blur                            float32 [m], [px]
    diagnostics/...                      each figure that the page plots; facts and messages as text

Timelines: `frame` counts; `stamp` is that of the image, where it has one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.colormap import scene_depth_scale
from dfd_perception.core.point_cloud import PointCloudBuilder
from dfd_perception.errors import RecordingError, UsageError, reason_of
from dfd_perception.files.atomic import PARTIAL_SUFFIX
from dfd_perception.view.frame_slot import FrameSlot, Status, ViewFrame

PARTS = frozenset({"input", "deblurred", "depth", "std", "measured", "blur"})
IMAGES, DEPTHS = ("input", "deblurred"), ("depth", "measured")
JPEG_QUALITY = 90
MOST_POINTS = 100_000
LEVELS = ("INFO", "WARN", "ERROR", "WARN")
"""Of a status by its level: good, warning, error, stale."""


def rerun() -> Any:
    """The module of rerun-sdk.

    Raises:
        UsageError: not installed here.
    """
    try:
        import rerun
        import rerun.blueprint  # absent from the package on PyPI that is named rerun alone
    except ImportError as error:
        raise UsageError(
            f"--rerun needs rerun-sdk ({error}): pip install rerun-sdk, for Python 3.11 or newer with NumPy 2"
        ) from error
    return rerun


class RerunLog(FrameSlot):
    """A slot that keeps every frame and status in a file, and wants all parts."""

    def __init__(self, path: Path) -> None:
        """Check what can be checked before a model is loaded.

        Raises:
            UsageError: rerun-sdk is absent, the name is no .rrd, it exists already, or its folder is missing.
        """
        super().__init__()
        if path.suffix != ".rrd":
            raise UsageError(f"{path}: Rerun opens files of the ending .rrd; expected such a name")
        if path.exists():
            raise UsageError(f"{path} exists; remove it or give another name")
        if not path.parent.is_dir():
            raise UsageError(f"{path.parent}: no such folder")
        self._path, self._partial = path, path.with_name(f".{path.name}{PARTIAL_SUFFIX}")
        self._rr = rerun()
        self._stream = self._rr.RecordingStream("dfd_perception")
        self._camera: tuple[CameraIntrinsics, PointCloudBuilder] | None = None
        self._message = ""
        self.frame_count = 0

    @contextmanager
    def recording(self, title: str) -> Iterator[None]:
        """Log within the block. The file gets its name at the end, with what came before an error, if any frame did.

        Raises:
            RecordingError: it cannot be written.
        """
        try:
            self._partial.write_bytes(b"")  # rerun would not say why it cannot
            self._stream.save(self._partial, default_blueprint=self._blueprint())
        except OSError as error:
            raise RecordingError(f"{self._path} cannot be written ({reason_of(error)})") from error
        try:
            self._stream.send_recording_name(title)
            yield
        finally:
            self._stream.disconnect()
            if self.frame_count:
                self._partial.replace(self._path)
            else:
                self._partial.unlink(missing_ok=True)

    def wanted(self) -> frozenset[str]:
        """All there is."""
        return PARTS

    def wait_for_viewer(self, timeout_s: float) -> bool:
        """The file always looks."""
        return True

    @property
    def viewer_count(self) -> int:
        """The file."""
        return 1

    def show(self, frame: ViewFrame) -> None:
        """Log a frame."""
        super().show(frame)
        self.frame_count += 1
        self._set_time(frame.stamp_ns)
        rr = self._rr
        for name in IMAGES:
            if name in frame.images:
                self._log(f"camera/{name}", rr.Image(frame.images[name]).compress(jpeg_quality=JPEG_QUALITY))
        metric = {name: frame.maps[name] for name in DEPTHS if name in frame.maps}
        scale = scene_depth_scale(*metric.values())
        for name, depth_m in metric.items():
            # Spectral runs from red to blue: red is near, as everywhere.
            depth = rr.DepthImage(depth_m, meter=1.0, colormap="Spectral", depth_range=(scale.low, scale.high))
            self._log(f"camera/{name}", depth)
        for name in ("std", "blur"):
            if name in frame.maps:
                self._log(name, rr.Image(frame.maps[name], color_model="L"))
        if "depth" in frame.maps and frame.camera is not None:
            self._log_points(frame, frame.camera)
        if frame.name:
            self._log("diagnostics/name", rr.TextLog(frame.name))

    def report(self, status: Status) -> None:
        """Log a status; an error is printed too, as there is no page to show it."""
        super().report(status)
        rr = self._rr
        for name, value in status.series.items():
            self._log(f"diagnostics/{name}", rr.Scalars(value))
        if status.values:
            rows = "\n".join(f"| {key} | {value} |" for key, value in status.values.items())
            text = f"| | |\n| --- | --- |\n{rows}"
            self._log("diagnostics/values", rr.TextDocument(text, media_type="text/markdown"))
        if status.message != self._message:
            self._message = status.message
            self._log("diagnostics/message", rr.TextLog(status.message, level=LEVELS[min(status.level, 3)]))
            if status.level:
                print(f"dfd: {status.message}", file=sys.stderr, flush=True)

    def _log(self, path: str, entity: Any) -> None:
        self._stream.log(path.replace(" ", "_"), entity, strict=True)

    def _set_time(self, stamp_ns: int) -> None:
        self._stream.set_time("frame", sequence=self.frame_count - 1)
        if stamp_ns:
            self._stream.set_time("stamp", timestamp=np.datetime64(stamp_ns, "ns"))

    def _log_points(self, frame: ViewFrame, camera: CameraIntrinsics) -> None:
        rr, depth_m = self._rr, frame.maps["depth"]
        if depth_m.shape != (camera.height, camera.width):
            return
        if self._camera is None or self._camera[0] != camera:
            self._camera = camera, PointCloudBuilder(camera)
            matrix = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
            size = [camera.width, camera.height]
            self._log(
                "camera", rr.Pinhole(image_from_camera=matrix, resolution=size, camera_xyz=rr.ViewCoordinates.RDF)
            )
        points = self._camera[1].points(depth_m, None)[..., :3]
        step = max(1, int(np.ceil(np.sqrt(depth_m.size / MOST_POINTS))))
        thinned = points[::step, ::step]
        there = np.isfinite(thinned).all(axis=-1)
        colours = self._colours(frame, depth_m.shape)
        shown = None if colours is None else colours[::step, ::step][there]
        self._log("camera/points", rr.Points3D(thinned[there], colors=shown))

    @staticmethod
    def _colours(frame: ViewFrame, size: tuple[int, ...]) -> NDArray[np.uint8] | None:
        images = (frame.images.get(name) for name in reversed(IMAGES))
        return next((image for image in images if image is not None and image.shape[:2] == size), None)

    def _blueprint(self) -> Any:
        """Where things stand when the file is opened: as on the page."""
        rrb = self._rr.blueprint
        flat = [rrb.Spatial2DView(origin=f"camera/{name}", name=name) for name in (*IMAGES, *DEPTHS)]
        flat += [rrb.Spatial2DView(origin=name, name=name) for name in ("std", "blur")]
        cloud = rrb.Spatial3DView(origin="camera", contents=["camera", "camera/points"], name="points")
        figures = rrb.Vertical(
            rrb.TimeSeriesView(origin="diagnostics", name="latency [ms], rate [1/s]"),
            rrb.TextDocumentView(origin="diagnostics/values", name="diagnostics"),
            rrb.TextLogView(origin="diagnostics", name="messages"),
        )
        return rrb.Blueprint(rrb.Horizontal(rrb.Grid(*flat), rrb.Vertical(cloud, figures), column_shares=[3, 2]))
