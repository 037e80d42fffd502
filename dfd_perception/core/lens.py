# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From what is known of a lens to its DefocusCurve: the one place that decides which number wins.

A description holds what a data sheet, a focus ring or a calibration says. Blur in pixels needs the focal length of the
images in pixels too: the calibrated fx of the images in hand where it is known, else the image distance over the pixel
pitch. The calibrated one always wins: a pitch of the data sheet is not that of binned or resized images.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

from dfd_perception.core.optics import LIMITS, DefocusCurve, Lens, Side, require_focusable, require_possible
from dfd_perception.errors import LensError

FX_TOLERANCE = 0.02
"""Relative difference of the two focal lengths in pixels from which on the user is told."""


class ResolvedLens(NamedTuple):
    """A lens on a camera."""

    curve: DefocusCurve
    """Blur against depth in the images."""
    lens: Lens | None
    """The thin lens with the pixel pitch that fits the images; None where the focal length is not known."""
    fx_px: float
    """Focal length of the images."""
    notes: tuple[str, ...] = ()
    """What the user should be told, one line each."""
    floor_assumed: bool = False
    """The description states no blur floor: that of the curve stands in for it."""


@dataclass(frozen=True, kw_only=True)
class LensDescription:
    """What is known of a lens; the keys of LENS.yaml and of `lens` in dataset.yaml.

    The aperture is given once: `focal_length_mm` and `f_number`, or `aperture_diameter_mm`.
    """

    focus_distance_m: float
    """Depth that is sharp."""
    focal_length_mm: float | None = None
    f_number: float | None = None
    aperture_diameter_mm: float | None = None
    """Instead of f_number."""
    pixel_pitch_um: float | None = None
    """Effective, of the stored images: after binning and resizing. Used where no calibrated fx is known."""
    side: Side = "far"
    """Where the scene lies: beyond the focus distance or before it."""
    blur_floor_px: float | None = None
    """Blur diameter of what is in focus; None where it was not calibrated."""

    def __post_init__(self) -> None:
        if (self.f_number is None) == (self.aperture_diameter_mm is None):
            raise LensError("a lens needs f_number or aperture_diameter_mm, exactly one of them")
        if self.f_number is not None and self.focal_length_mm is None:
            raise LensError("f_number says nothing without focal_length_mm; add it, or give aperture_diameter_mm")
        stated = {field.name: getattr(self, field.name) for field in fields(self) if field.name in LIMITS}
        optional = {name: value for name, value in stated.items() if value is not None}
        require_possible(**{"focus_distance_m": self.focus_distance_m, **optional})
        if self.focal_length_mm is not None:
            require_focusable(self.focus_distance_m, self.focal_length_mm)

    @property
    def diameter_mm(self) -> float:
        """Diameter of the aperture."""
        if self.aperture_diameter_mm is not None:
            return self.aperture_diameter_mm
        assert self.f_number is not None
        assert self.focal_length_mm is not None
        return self.focal_length_mm / self.f_number

    @property
    def data_sheet_fx_px(self) -> float | None:
        """Focal length in pixels by the image distance and the pixel pitch; None where they are not given."""
        if self.pixel_pitch_um is None:
            return None
        lens = self._thin_lens(self.pixel_pitch_um)
        return None if lens is None else lens.fx_px

    def resolved(self, fx_px: float | None = None, *, floor_px: float = 0.0) -> ResolvedLens:
        """The lens on the camera that takes the images.

        Args:
            fx_px: calibrated focal length of the images in hand; None where it is not known.
            floor_px: blur floor where the description has none, such as the typical one of a model card.

        Raises:
            LensError: the focal length in pixels cannot be known, or a number is impossible.
        """
        if fx_px is not None:
            require_possible(fx_px=fx_px)
        sheet_fx_px = self.data_sheet_fx_px
        notes = []
        if fx_px is None:
            if sheet_fx_px is None:
                missing = [name for name in ("focal_length_mm", "pixel_pitch_um") if getattr(self, name) is None]
                raise LensError(
                    "the focal length in pixels is not known: give the calibrated one of the images (--fx, "
                    f"fx_px, camera_info), or add {' and '.join(missing)} to the lens"
                )
            fx_px = sheet_fx_px
        elif sheet_fx_px is not None and abs(sheet_fx_px / fx_px - 1) > FX_TOLERANCE:
            notes.append(
                f"fx of the images is {fx_px:.1f} px, the lens' focal length and pixel pitch give {sheet_fx_px:.1f} px "
                f"({sheet_fx_px / fx_px - 1:+.0%}): that of the images is used; leave pixel_pitch_um out, or correct it"
            )
        curve = DefocusCurve.from_aperture(
            fx_px,
            self.diameter_mm,
            self.focus_distance_m,
            self.side,
            floor_px if self.blur_floor_px is None else self.blur_floor_px,
        )
        lens = self._on_camera(fx_px)
        return ResolvedLens(curve, lens, fx_px, tuple(notes), floor_assumed=self.blur_floor_px is None)

    def curve(self, fx_px: float | None = None) -> DefocusCurve:
        """Blur against depth alone; see `resolved`."""
        return self.resolved(fx_px).curve

    def fitted_to(self, fx_px: float) -> LensDescription:
        """The description with the pixel pitch that a camera of this fx [px] has, so that both say the same."""
        lens = self._on_camera(fx_px)
        return replace(self, pixel_pitch_um=None if lens is None else lens.pixel_pitch_um)

    def _on_camera(self, fx_px: float) -> Lens | None:
        one_um = self._thin_lens(1.0)
        return None if one_um is None else replace(one_um, pixel_pitch_um=one_um.fx_px / fx_px)

    def _thin_lens(self, pixel_pitch_um: float) -> Lens | None:
        if self.focal_length_mm is None:
            return None
        return Lens(
            focal_length_mm=self.focal_length_mm,
            f_number=self.focal_length_mm / self.diameter_mm,
            focus_distance_m=self.focus_distance_m,
            pixel_pitch_um=pixel_pitch_um,
        )
