"""LENS.yaml: the lens that a picture was, or shall be, taken with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dfd_perception.configuration import from_mapping, read_yaml
from dfd_perception.core.optics import DefocusCurve, Lens, Side
from dfd_perception.errors import LensError


@dataclass(frozen=True, kw_only=True)
class LensDescription:
    """What a data sheet and a look at the focus ring say; the keys of LENS.yaml and of `lens` in dataset.yaml.

    The aperture is given once: `focal_length_mm` and `f_number`, or `aperture_diameter_mm`. Focal length in
    pixels comes from the focal length and `pixel_pitch_um`, or from a calibrated camera.
    """

    focus_distance_m: float
    """Depth that is sharp."""
    focal_length_mm: float | None = None
    f_number: float | None = None
    aperture_diameter_mm: float | None = None
    """Instead of f_number."""
    pixel_pitch_um: float | None = None
    """Effective, of the stored picture: after binning and resizing."""
    side: Side = "far"
    """Where the scene lies: beyond the focus distance or before it."""
    blur_floor_px: float = 0.0
    """Blur diameter that remains in focus."""

    def __post_init__(self) -> None:
        if (self.f_number is None) == (self.aperture_diameter_mm is None):
            raise LensError("a lens needs f_number or aperture_diameter_mm, exactly one of them")
        if self.f_number is not None and self.focal_length_mm is None:
            raise LensError("f_number says nothing without focal_length_mm; add it, or give aperture_diameter_mm")

    def lens(self) -> Lens:
        """The thin lens with its sensor.

        Raises:
            LensError: focal length or pixel pitch is not given, or a number is impossible.
        """
        missing = [name for name in ("focal_length_mm", "pixel_pitch_um") if getattr(self, name) is None]
        if missing:
            raise LensError(f"the lens lacks {' and '.join(missing)}, needed for blur in pixels; add it to the file")
        assert self.focal_length_mm is not None
        assert self.pixel_pitch_um is not None
        return Lens(
            focal_length_mm=self.focal_length_mm,
            f_number=self.focal_length_mm / self._diameter_mm(),
            focus_distance_m=self.focus_distance_m,
            pixel_pitch_um=self.pixel_pitch_um,
        )

    def curve(self, fx_px: float | None = None) -> DefocusCurve:
        """Blur against depth; a calibrated fx [px] wins over the pixel pitch.

        Raises:
            LensError: neither is known, or a number is impossible.
        """
        if fx_px is None:
            return self.lens().defocus_curve(self.side, self.blur_floor_px)
        return DefocusCurve.from_aperture(
            fx_px, self._diameter_mm(), self.focus_distance_m, self.side, self.blur_floor_px
        )

    def _diameter_mm(self) -> float:
        if self.aperture_diameter_mm is not None:
            diameter_mm = self.aperture_diameter_mm
        else:
            assert self.f_number is not None
            assert self.focal_length_mm is not None
            if not self.f_number > 0:
                raise LensError(f"f_number is {self.f_number}; it must be positive")
            diameter_mm = self.focal_length_mm / self.f_number
        if not diameter_mm > 0:
            raise LensError(f"the aperture is {diameter_mm} mm wide; it must be positive")
        return diameter_mm


def read_lens(path: Path) -> LensDescription:
    """Read LENS.yaml; unknown keys are refused.

    Raises:
        ConfigError: not readable, an unknown or missing key, or a value of another type.
        LensError: the lens cannot be.
    """
    try:
        return from_mapping(LensDescription, read_yaml(path), str(path))
    except LensError as error:
        raise LensError(f"{path}: {error}") from error
