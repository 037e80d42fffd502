# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How the images of a data set are made: lens, shape of the blur, scale and crop, one for training, table and card.

A model reads blur in pixels, so each of the four changes what it sees: an edge that training blurs with a disk of 0.25
c at native scale is another one with a Gaussian of 0.3 c at 256 x 256.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from dfd_perception.core.lens import LensDescription
from dfd_perception.core.point_spread import DISK, PointSpread
from dfd_perception.core.size import Size


@dataclass(frozen=True, kw_only=True)
class ImageProtocol:
    """What images a model learnt from, or is measured on."""

    lens: LensDescription | None = None
    """That sharp images are defocused with; None: the images' own."""
    point_spread: PointSpread = DISK
    """Shape of that blur."""
    scale_px: tuple[int, int] | None = None
    """(height, width) that whole images are squeezed to; None: native scale."""
    crop_px: tuple[int, int] | None = None
    """(height, width) of training crops; None: whole images."""

    def differences_from(self, other: ImageProtocol) -> list[str]:
        """Where images of this protocol are blurred or scaled otherwise than those of another, in words."""
        differences = []
        if self.lens is not None and other.lens is not None:
            ours, theirs = asdict(self.lens), asdict(other.lens)
            differences += [
                f"{name} {ours[name] if ours[name] is not None else 'not given'} instead of {theirs[name]}"
                for name in ours
                if ours[name] != theirs[name]
            ]
        if self.point_spread != other.point_spread:
            differences.append(f"blur of {shape_of(self.point_spread)} instead of {shape_of(other.point_spread)}")
        if self.scale_px != other.scale_px:
            differences.append(f"{scale_of(self.scale_px)} instead of {scale_of(other.scale_px)}")
        return differences

    def described(self) -> dict[str, Any]:
        """Plain values for a table or a report."""
        plain = asdict(replace(self, point_spread=DISK))
        plain["point_spread"] = shape_of(self.point_spread)
        return plain


def shape_of(spread: PointSpread) -> str:
    """A point spread in words: "a disk, sigma 0.25 c"."""
    names = {2.0: "a Gaussian", float("inf"): "a disk"}
    return f"{names.get(spread.exponent, f'exponent {spread.exponent:g}')}, sigma {spread.sigma_per_coc:g} c"


def scale_of(size: Size | None) -> str:
    """A scale in words."""
    return "native scale" if size is None else f"squeezed to {size[0]} x {size[1]}"
