# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What came of one image, with the lens it was computed for: the maps, points in space, and a few figures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.optics import DefocusCurve
from dfd_perception.errors import LensError

NEAR_FOCUS_PX = 1.0
"""Blur of the lens up to which depth is called unresolved: nearer and farther than the focus plane look alike."""

FloatMap = NDArray[np.float32]
Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class ResultSummary:
    """Figures of one image; None where there is nothing to measure."""

    depth_share: float | None
    """Share of the pixels with depth, 0 to 1."""
    median_depth_m: float | None
    near_depth_m: float | None
    """5th percentile of the depth [m]."""
    far_depth_m: float | None
    """95th percentile of the depth [m]."""
    median_std_m: float | None
    median_blur_px: float | None
    near_focus_share: float | None
    """Share of the pixels that the lens blurs by less than 1 px: depth is unresolved there."""

    def line(self) -> str:
        """The figures in one line, such as "depth 0.71 to 3.90 m, median 1.24 m, 98 % with depth"."""
        parts = []
        if self.median_depth_m is not None:
            span = f"{self.near_depth_m:.2f} to {self.far_depth_m:.2f} m"
            parts.append(f"depth {span}, median {self.median_depth_m:.2f} m")
            parts.append(f"{percent(self.depth_share)} with depth")
        elif self.depth_share is not None:
            parts.append("no pixel has depth")
        if self.median_blur_px is not None:
            parts.append(f"blur median {self.median_blur_px:.1f} px")
        if self.near_focus_share is not None:
            parts.append(f"{percent(self.near_focus_share)} near focus")
        return ", ".join(parts) or "no map"


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """Maps of the size of the image; None for what the model or a missing lens cannot say."""

    image_rgb: Rgb
    """(H, W, 3) uint8: the input."""
    depth_m: FloatMap | None = None
    """(H, W) float32: z-depth [m], NaN where there is none."""
    std_m: FloatMap | None = None
    """(H, W) float32: one standard deviation of the depth [m], NaN where depth is."""
    blur_px: FloatMap | None = None
    """(H, W) float32: total blur diameter [px of the image], that of the lens and the camera's own."""
    blur_std_px: FloatMap | None = None
    """(H, W) float32: one standard deviation of `blur_px` [px]."""
    deblurred: Rgb | None = None
    """(H, W, 3) uint8 RGB: estimate of the all-in-focus image."""
    curve: DefocusCurve | None = None
    """The lens at the size of the image."""
    fx_px: float | None = None
    """Focal length [px] of the image, where it is known."""
    latency_s: dict[str, float] = field(default_factory=dict)
    """Seconds by stage: preprocess, inference, postprocess."""

    def points(self, camera: CameraIntrinsics | None = None) -> NDArray[np.float32]:
        """(N, 3) float32: x, y, z [m] of the N pixels with depth, row by row.

        x is right, y down, z forward (REP 103, optical frame).

        Args:
            camera: intrinsics of the image; without them fx as the lens has it, and the middle as principal point.

        Raises:
            LensError: there is no depth, or no focal length in pixels.
        """
        depth_m, camera = self._required_depth(), camera or self._camera()
        rows, columns = np.nonzero(np.isfinite(depth_m))
        z = depth_m[rows, columns]
        x, y = (columns - camera.cx) / camera.fx * z, (rows - camera.cy) / camera.fy * z
        return np.stack([x, y, z], axis=1).astype(np.float32)

    def point_colours(self) -> Rgb:
        """(N, 3) uint8 RGB of `points()`, in the same order: deblurred, or the input where the model cannot deblur."""
        image = self.image_rgb if self.deblurred is None else self.deblurred
        return image[np.isfinite(self._required_depth())]

    def summary(self) -> ResultSummary:
        """Figures of this image."""
        depth_share = median = near = far = None
        if self.depth_m is not None:
            values = self.depth_m[np.isfinite(self.depth_m)]
            depth_share = values.size / self.depth_m.size
            if values.size:
                near, median, far = (float(v) for v in np.percentile(values, (5, 50, 95)))
        std = None if self.std_m is None else self.std_m[np.isfinite(self.std_m)]
        near_focus = None
        if self.blur_px is not None and self.curve is not None:
            unresolved = float(np.hypot(self.curve.blur_floor_px, NEAR_FOCUS_PX))
            near_focus = float((self.blur_px < unresolved).mean())
        return ResultSummary(
            depth_share=depth_share,
            median_depth_m=median,
            near_depth_m=near,
            far_depth_m=far,
            median_std_m=float(np.median(std)) if std is not None and std.size else None,
            median_blur_px=None if self.blur_px is None else float(np.median(self.blur_px)),
            near_focus_share=near_focus,
        )

    def _required_depth(self) -> FloatMap:
        if self.depth_m is None:
            raise LensError("there is no depth without a lens; give it to dfd.load(..., lens=...)")
        return self.depth_m

    def _camera(self) -> CameraIntrinsics:
        if self.fx_px is None:
            raise LensError("points need the focal length in pixels; give fx_px=..., or camera=... to points()")
        height, width = self.image_rgb.shape[:2]
        return CameraIntrinsics.centred((height, width), self.fx_px)


def percent(share: float | None) -> str:
    """A share for people: whole percent, "<1 %" for what is not quite nothing, a dash for None."""
    if share is None:
        return "-"
    if 0 < share < 0.005:
        return "<1 %"
    if 0.995 <= share < 1:
        return ">99 %"
    return f"{share * 100:.0f} %"
