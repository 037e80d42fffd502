"""Thin-lens defocus: from depth to circle of confusion and back.

One lens at one focus setting is two numbers. With q = 1/depth in dioptres, the signed circle of
confusion (diameter, pixels; negative nearer than the focus plane) is a straight line,

    beta(q) = K (1/F - q),        K = fx * aperture diameter   [px per dioptre]

where fx is the focal length in pixels of the camera as it is focused. Blur is therefore stereo disparity
whose baseline is the aperture, with the zero-disparity plane at the focus distance, and the sign lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import LensError

Side = Literal["far", "near"]
FloatArray = NDArray[np.floating]


def _require_positive(**quantities: float) -> None:
    for name, value in quantities.items():
        if not (np.isfinite(value) and value > 0):
            raise LensError(f"{name} is {value}; it must be a positive number")


@dataclass(frozen=True, kw_only=True)
class Lens:
    """A thin lens as a data sheet gives it, with the sensor pitch of the stored image.

    `pixel_pitch_um` is effective: that of the stored pixels, after binning and resizing.
    """

    focal_length_mm: float
    f_number: float
    focus_distance_m: float
    pixel_pitch_um: float

    def __post_init__(self) -> None:
        _require_positive(
            focal_length_mm=self.focal_length_mm,
            f_number=self.f_number,
            focus_distance_m=self.focus_distance_m,
            pixel_pitch_um=self.pixel_pitch_um,
        )
        if self.focus_distance_m * 1e3 <= self.focal_length_mm:
            raise LensError(
                f"focus_distance_m is {self.focus_distance_m}; it must be beyond the focal length "
                f"({self.focal_length_mm} mm), nothing nearer can be focused"
            )

    @property
    def aperture_diameter_mm(self) -> float:
        """Focal length over f-number."""
        return self.focal_length_mm / self.f_number

    @property
    def image_distance_mm(self) -> float:
        """Lens to sensor when focused: 1/f = 1/F + 1/s."""
        focus_mm = self.focus_distance_m * 1e3
        return self.focal_length_mm * focus_mm / (focus_mm - self.focal_length_mm)

    @property
    def fx_px(self) -> float:
        """Focal length in pixels of the focused camera: image distance over pixel pitch."""
        return self.image_distance_mm * 1e3 / self.pixel_pitch_um

    def defocus_curve(self, side: Side = "far", blur_floor_px: float = 0.0) -> DefocusCurve:
        """The lens as the two numbers that blur depends on."""
        return DefocusCurve(
            gain_px_per_dioptre=self.fx_px * self.aperture_diameter_mm * 1e-3,
            focus_distance_m=self.focus_distance_m,
            side=side,
            blur_floor_px=blur_floor_px,
        )


@dataclass(frozen=True, kw_only=True)
class DefocusCurve:
    """Blur against depth for one lens setting, and its inverse on one side of the focus plane.

    gain_px_per_dioptre: K, how many pixels the circle of confusion grows per dioptre of misfocus.
    focus_distance_m: F, the depth that is sharp.
    side: where the scene is taken to lie: "far" (beyond F) or "near". Blur alone cannot tell.
    blur_floor_px: blur c0 that remains in focus; measured blur is sqrt(beta^2 + c0^2).
    """

    gain_px_per_dioptre: float
    focus_distance_m: float
    side: Side = "far"
    blur_floor_px: float = 0.0

    def __post_init__(self) -> None:
        _require_positive(
            gain_px_per_dioptre=self.gain_px_per_dioptre, focus_distance_m=self.focus_distance_m
        )
        if self.side not in ("far", "near"):
            raise LensError(f"side is {self.side!r}; it must be 'far' or 'near'")
        if not (np.isfinite(self.blur_floor_px) and self.blur_floor_px >= 0):
            raise LensError(f"blur_floor_px is {self.blur_floor_px}; it must be 0 or more")

    @classmethod
    def from_aperture(
        cls,
        fx_px: float,
        aperture_diameter_mm: float,
        focus_distance_m: float,
        side: Side = "far",
        blur_floor_px: float = 0.0,
    ) -> DefocusCurve:
        """From a calibrated fx (camera_info) and the two numbers of the lens: K = fx * D."""
        _require_positive(fx_px=fx_px, aperture_diameter_mm=aperture_diameter_mm)
        return cls(
            gain_px_per_dioptre=fx_px * aperture_diameter_mm * 1e-3,
            focus_distance_m=focus_distance_m,
            side=side,
            blur_floor_px=blur_floor_px,
        )

    def scaled(self, factor: float) -> DefocusCurve:
        """The curve after the image is resized by `factor`: blur in pixels scales with fx."""
        return DefocusCurve(
            gain_px_per_dioptre=self.gain_px_per_dioptre * factor,
            focus_distance_m=self.focus_distance_m,
            side=self.side,
            blur_floor_px=self.blur_floor_px * factor,
        )

    def signed_coc_px(self, depth_m: FloatArray | float) -> FloatArray:
        """Signed circle of confusion [px], negative nearer than F. Depth must be positive.

        Convention: K 16.5 px/D, F 0.6 m, depth 1 m gives 16.5 * (1/0.6 - 1) = +11 px.

        >>> curve = DefocusCurve(gain_px_per_dioptre=16.5, focus_distance_m=0.6)
        >>> round(float(curve.signed_coc_px(1.0)), 6)
        11.0
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse_depth = 1.0 / np.asarray(depth_m, dtype=np.float64)
        return self.gain_px_per_dioptre * (1.0 / self.focus_distance_m - inverse_depth)

    def coc_px(self, depth_m: FloatArray | float) -> FloatArray:
        """Measured blur diameter [px]: the blur floor added in quadrature."""
        return np.hypot(self.signed_coc_px(depth_m), self.blur_floor_px)

    def depth_m(self, coc_px: FloatArray) -> FloatArray:
        """Depth [m] of a measured blur, on this curve's side; +inf where the blur exceeds that of infinity.

        1/d = 1/F - c/K beyond the focus plane, 1/F + c/K before it. Shape and floating dtype of `coc_px`.
        """
        coc_px = np.asarray(coc_px)
        sign = -1.0 if self.side == "far" else 1.0
        # In place: a map of 1 MB costs more in fresh memory than in arithmetic, and this runs for every frame.
        depth = np.asarray(self._without_floor(coc_px), dtype=np.result_type(coc_px, np.float32))
        depth *= sign / self.gain_px_per_dioptre
        depth += 1.0 / self.focus_distance_m
        beyond = depth <= 0
        with np.errstate(divide="ignore"):
            np.divide(1.0, depth, out=depth)
        depth[beyond] = np.inf
        return depth

    def depth_std_m(self, depth_m: FloatArray, coc_std_px: FloatArray) -> FloatArray:
        """One standard deviation of depth [m]: d^2 * std_c / K, first-order propagation."""
        return np.square(depth_m) * coc_std_px / self.gain_px_per_dioptre

    def _without_floor(self, coc_px: FloatArray) -> FloatArray:
        if self.blur_floor_px == 0:
            return np.maximum(coc_px, 0)
        return np.sqrt(np.maximum(np.square(coc_px) - self.blur_floor_px**2, 0))

    def in_focus_band_m(self, smallest_coc_px: float = 1.0) -> tuple[float, float]:
        """Nearest and farthest depth [m] whose blur stays under `smallest_coc_px`: inside, depth is unresolved."""
        margin = smallest_coc_px / self.gain_px_per_dioptre
        focus = 1.0 / self.focus_distance_m
        return 1.0 / (focus + margin), (1.0 / (focus - margin) if focus > margin else float("inf"))

    def mirror_depth_m(self, depth_m: float) -> float:
        """The depth on the other side of the focus plane that blurs exactly alike (inf if there is none)."""
        inverse_depth = 2.0 / self.focus_distance_m - 1.0 / depth_m
        return 1.0 / inverse_depth if inverse_depth > 0 else float("inf")


def circle_of_confusion_px(lens: Lens, depth_m: FloatArray | float) -> FloatArray:
    """Blur diameter [px] in Gur & Wolf's form: A f |d - F| / (d (F - f)) / pitch.

    Convention: f = 50 mm, N = 2, F = 2 m, 5 um pixels: a point at 4 m blurs to 64.1 px.

    >>> lens = Lens(focal_length_mm=50, f_number=2, focus_distance_m=2, pixel_pitch_um=5)
    >>> round(float(circle_of_confusion_px(lens, 4.0)), 1)
    64.1
    """
    depth_mm = np.asarray(depth_m, dtype=np.float64) * 1e3
    focus_mm = lens.focus_distance_m * 1e3
    focal_mm = lens.focal_length_mm
    blur_mm = lens.aperture_diameter_mm * focal_mm * np.abs(depth_mm - focus_mm)
    blur_mm /= depth_mm * (focus_mm - focal_mm)
    return blur_mm * 1e3 / lens.pixel_pitch_um


def circle_of_confusion_from_image_distance_px(lens: Lens, depth_m: FloatArray | float) -> FloatArray:
    """The same blur in Carvalho's form: A s |1/f - 1/d - 1/s| / pitch, s the image distance."""
    depth_mm = np.asarray(depth_m, dtype=np.float64) * 1e3
    vergence = 1.0 / lens.focal_length_mm - 1.0 / depth_mm - 1.0 / lens.image_distance_mm
    blur_mm = lens.aperture_diameter_mm * lens.image_distance_mm * np.abs(vergence)
    return blur_mm * 1e3 / lens.pixel_pitch_um
