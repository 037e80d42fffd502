"""What an evaluation looks at: frames with whatever truth there is, from a source that can be read again."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.optics import DefocusCurve


@dataclass(frozen=True, kw_only=True)
class EvaluationFrame:
    """One defocused image and its truth; a part that is not known is None.

    Truth may have another size than the image as long as it shows the same field of view.
    """

    unit: str
    """The part of the source that it belongs to: a bag's name, a data set's name."""
    index: int
    """Position within the unit: with the unit, the frame's identity."""
    name: str
    """For people: a stem, or the number of the frame."""
    image_rgb: NDArray[np.uint8]
    """(H, W, 3) uint8 RGB."""
    stamp_ns: int | None = None
    frame_id: str = ""
    depth_m: NDArray[np.float32] | None = None
    """(h, w) true z-depth [m], NaN where there is none."""
    aif: NDArray[np.uint8] | None = None
    """(h, w, 3) uint8 RGB all-in-focus image."""
    seen: NDArray[np.bool_] | None = None
    """(h, w) where `aif` was really seen; None: everywhere. Elsewhere no metric counts it."""
    coc_px: NDArray[np.float32] | None = None
    """(H, W) true circle of confusion [px of the image], NaN where unknown."""
    curve: DefocusCurve | None = None
    """The lens at the image's size."""
    camera: Any = None
    """camera_info record of the image, handed on to a bag of results."""

    @property
    def key(self) -> tuple[str, int]:
        """Identity within the evaluation."""
        return self.unit, self.index


class FrameSource(Protocol):
    """Frames of one data set or of one bag, always in the same order.

    unit: name, unique within an evaluation.
    """

    unit: str

    def __len__(self) -> int:
        """Frames expected; an estimate where only reading tells."""
        ...

    def frames(self, skip: Collection[int] = ()) -> Iterator[EvaluationFrame]:
        """All frames but those with an index in `skip`, one at a time, nothing kept."""
        ...

    def reread(self, indices: Collection[int]) -> Iterator[EvaluationFrame]:
        """A few frames once more, for their images."""
        ...

    def description(self) -> dict[str, Any]:
        """What was read and what was lost, for the report's `data` section; complete after `frames`."""
        ...

    def close(self) -> None:
        """Release what is open."""
        ...
