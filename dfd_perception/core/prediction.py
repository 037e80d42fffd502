# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Records that cross layers: what a model says about one image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Heads = Literal["both", "depth", "deblurred"]
"""Which heads run. "depth" is the upper one, also when it predicts blur."""

IMAGE_INPUT = "image"
PRIOR_INPUT = "blur_log_prior"
"""Names of the graph inputs: the second is that of networks that state a distribution over blur (core.blur_bins)."""

IMAGE_OUTPUT = "deblurred"
"""Name of the graph output that is an image; the others are maps."""

OUTPUT_NAMES = {
    ("depth", "both"): ("depth", "deblurred"),
    ("depth", "depth"): ("depth",),
    ("coc", "both"): ("coc", "coc_log_var", "deblurred"),
    ("coc", "depth"): ("coc", "coc_log_var"),
    ("depth", "deblurred"): ("deblurred",),
    ("coc", "deblurred"): ("deblurred",),
}
"""Names of the graph outputs by (target, heads)."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Maps of one size for one image; None for what was not asked for or cannot be known."""

    depth_m: NDArray[np.float32] | None = None
    """(H, W) z-depth [m], NaN where invalid."""
    depth_std_m: NDArray[np.float32] | None = None
    """(H, W) one standard deviation of the depth [m], NaN where depth is."""
    coc_px: NDArray[np.float32] | None = None
    """(H, W) circle of confusion diameter [px of this map]."""
    coc_std_px: NDArray[np.float32] | None = None
    """(H, W) one standard deviation of `coc_px`."""
    deblurred: NDArray[np.uint8] | None = None
    """(H, W, 3) all-in-focus RGB."""
    latency_s: dict[str, float] = field(default_factory=dict)
    """Seconds by stage: preprocess, inference, postprocess."""
