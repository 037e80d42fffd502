# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Whether a fresh engine says what the float32 network says: on real frames, each by itself, and twice.

Reduced precision has gone wrong silently and for single frames (spacewalk01/depth-anything-tensorrt issue 49: one
JetPack's float16 engines jump in scale from frame to frame), so neither one frame nor a mean would do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.image_bytes import decoded_rgb
from dfd_perception.core.network_geometry import planar_batch
from dfd_perception.core.size import Size
from dfd_perception.errors import EngineError, counted
from dfd_perception.inference.backends.interface import Precision

Outputs = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Limits:
    """What the worst frame may show against float32 on the CPU."""

    depth_abs_rel: float
    """Mean of |depth - reference| / reference, or of the circle of confusion for models that predict it."""
    aif_psnr_db: float
    """Of the all-in-focus image against the reference's [dB]."""


LIMITS: dict[str, Limits] = {
    "fp32": Limits(0.001, 55.0),
    "fp16": Limits(0.005, 45.0),
    "int8": Limits(0.05, 32.0),
}
"""fp32: rounding the image to 256 steps alone makes 59 dB. fp16: the project's target, and an image error that eight
bits can hardly show. int8: a choice, to be overruled by measuring on data with ground truth (`dfd evaluate`)."""

REPEAT_FRACTION = 0.1
"""Running a frame again may change its result by this fraction of the limit."""

SMALLEST_COC_PX = 1.0
"""Below, blur is compared in pixels: relative errors of no blur say nothing."""


EQUAL_DB = 200.0
"""Stands for no difference at all: JSON has no infinity."""


@dataclass(frozen=True)
class SelfCheckResult:
    """Worst values over the frames."""

    passed: bool
    why: str
    """Empty if it passed."""
    depth_abs_rel: float | None
    aif_psnr_db: float | None
    nonfinite: int
    """Values that are NaN or infinite, in all frames."""
    frames: int

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> SelfCheckResult | None:
        """The result in a sidecar's facts; None if there is none of this form."""
        try:
            return cls(**facts["self_check"])
        except (KeyError, TypeError):
            return None

    def summary(self) -> str:
        """One line for diagnostics."""
        parts = []
        if self.depth_abs_rel is not None:
            parts.append(f"depth AbsRel {100 * self.depth_abs_rel:.3g} %")
        if self.aif_psnr_db is not None:
            parts.append(f"AiF {self.aif_psnr_db:.1f} dB")
        figures = f"{', '.join(parts)} against fp32 on {counted(self.frames, 'frame')}"
        return f"passed: {figures}" if self.passed else f"failed: {self.why} ({figures})"


def check_engine(
    engine: Callable[[NDArray[np.float32]], Outputs],
    reference: Callable[[NDArray[np.float32]], Outputs],
    frames: Sequence[NDArray[np.float32]],
    precision: Precision,
) -> SelfCheckResult:
    """Compare an engine with the float32 network.

    Args:
        engine, reference: from (1, 3, H, W) to outputs by name. The arrays may be overwritten by the next call.
        frames: (1, 3, H, W) float32 RGB in [0, 1].
    """
    limits = LIMITS[precision]
    relatives: list[float] = []
    psnrs: list[float] = []
    nonfinite = 0
    problems: list[str] = []
    first: Outputs = {}
    for frame in frames:
        answer = {name: array.copy() for name, array in engine(frame).items()}
        first = first or answer
        bad = sum(int(np.count_nonzero(~np.isfinite(array))) for array in answer.values())
        nonfinite += bad
        if bad:
            continue
        right = reference(frame)
        relatives += [_relative(name, answer[name], right[name]) for name in answer if name in ("depth", "coc")]
        psnrs += [_psnr_db(answer[name], right[name]) for name in answer if name == "deblurred"]
    if nonfinite:
        problems.append(f"{counted(nonfinite, 'value')} NaN or infinite")
    if relatives and not max(relatives) <= limits.depth_abs_rel:
        problems.append(f"depth is off by {100 * max(relatives):.2g} %, allowed {100 * limits.depth_abs_rel:g} %")
    if psnrs and not min(psnrs) >= limits.aif_psnr_db:
        problems.append(f"the deblurred image has {min(psnrs):.1f} dB, needed {limits.aif_psnr_db:g} dB")
    if not problems and not _repeats(first, engine(frames[0]), limits):
        problems.append("the same frame gives another result the second time")
    return SelfCheckResult(
        passed=not problems,
        why="; ".join(problems),
        depth_abs_rel=max(relatives, default=None),
        aif_psnr_db=min(psnrs, default=None),
        nonfinite=nonfinite,
        frames=len(frames),
    )


def stored_frames(size: Size) -> list[NDArray[np.float32]]:
    """The real frames of the package as (1, 3, H, W) float32 RGB in [0, 1], filled to the asked height and width."""
    folder = resources.files("dfd_perception.inference.tensorrt") / "frames"
    frames = []
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if not file.name.endswith(".jpg"):
            continue
        frames.append(as_network_input(decoded_rgb(file.read_bytes()), size))
    if not frames:
        raise EngineError(f"{folder}: the frames for the self-check are missing; install the package again")
    return frames


def as_network_input(image_rgb: NDArray[np.uint8], size: Size) -> NDArray[np.float32]:
    """(H, W, 3) uint8 RGB of any size to (1, 3, *size): scaled to cover the size, the middle of it."""
    height, width = size
    scale = max(height / image_rgb.shape[0], width / image_rgb.shape[1])
    covering = (max(width, round(image_rgb.shape[1] * scale)), max(height, round(image_rgb.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(image_rgb, covering, interpolation=interpolation)
    top, left = (resized.shape[0] - height) // 2, (resized.shape[1] - width) // 2
    middle = resized[top : top + height, left : left + width]
    return planar_batch(middle)


def _relative(name: str, answer: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    floor = SMALLEST_COC_PX if name == "coc" else 1e-3
    return float(np.mean(np.abs(answer - right) / np.maximum(np.abs(right), floor)))


def _psnr_db(answer: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    mse = float(np.mean(np.square(answer.astype(np.float64) - right)))
    return float(min(EQUAL_DB, -10 * np.log10(max(mse, 1e-30))))


def _repeats(first: Outputs, again: Outputs, limits: Limits) -> bool:
    for name, array in again.items():
        if name in ("depth", "coc") and _relative(name, array, first[name]) > REPEAT_FRACTION * limits.depth_abs_rel:
            return False
        if name == "deblurred" and _psnr_db(array, first[name]) < limits.aif_psnr_db + 20:
            return False
    return True
