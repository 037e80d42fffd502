# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Thin-lens defocus: from depth to circle of confusion and back.

One lens at one focus setting is two numbers. With q = 1/depth in dioptres, the signed circle of
confusion (diameter, pixels; negative nearer than the focus plane) is a straight line,

    beta(q) = K (1/F - q),        K = fx * aperture diameter   [px per dioptre]

where fx is the focal length in pixels of the camera as it is focused. Blur is therefore stereo disparity
whose baseline is the aperture, with the zero-disparity plane at the focus distance, and the sign lost.

What an image shows is the total blur R = sqrt(beta^2 + c0^2): the blur floor c0 is everything else that softens
it (optics in focus, demosaicing, resizing), as the diameter of a disk of equal second moment, 4 sigma.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import LensError

Side = Literal["far", "near"]
FloatArray = NDArray[np.floating]


SMALLEST_COC_PX = 1e-6
"""Keeps a division finite where nothing is blurred."""


class Limit(NamedTuple):
    """What a quantity of a lens can be; a value outside is a slip of units, not optics."""

    smallest: float
    largest: float
    unit: str
    below: str
    """What a smaller value probably is."""
    above: str
    """What a larger value probably is."""


LIMITS = {
    # From endoscopes (0.5 mm) to the longest telephoto lenses (1700 mm).
    "focal_length_mm": Limit(0.5, 2000, "mm", "a value in metres is 1000 times too small", "too large by 1000 in um"),
    # f/0.5 is the limit of a lens in air (numerical aperture 1); beyond f/128 it is a pinhole.
    "f_number": Limit(0.5, 128, "(f/N)", "no lens in air opens wider than f/0.5", "that is a pinhole"),
    "aperture_diameter_mm": Limit(0.02, 500, "mm", "a value in metres is 1000 times too small", "is it in um?"),
    # Beyond 100 m a focus setting differs from infinity by less than 0.01 dioptre: 0.3 px at K 30.
    "focus_distance_m": Limit(
        0.005, 100, "m", "nothing nearer can be focused", "a value in millimetres is 1000 times too large; for a lens "
        "focused at infinity give 100, which differs by 0.01 dioptre"
    ),
    # Sensors have 0.5 um and more; an image resized to a thumbnail has pixels of up to a twelfth of a full frame.
    "pixel_pitch_um": Limit(0.4, 3000, "um", "a value in millimetres is 1000 times too small", "is it in nm?"),
    "fx_px": Limit(5, 1e6, "px", "is it in mm? focal length [mm] * 1000 / pixel pitch [um]", "is the image so large?"),
    # A camera that softens 100 px in focus measures no blur at all; most have 1 to 3 px.
    "blur_floor_px": Limit(0, 100, "px", "", "that much blur in focus hides every other"),
    # Below, a metre of difference in depth moves blur by a hundredth of a pixel; above, a hundredth of a dioptre (1 cm
    # at 1 m) blurs by 100 px.
    "gain_px_per_dioptre": Limit(
        0.01, 10_000, "px per dioptre", "such a lens shows no defocus", "is the pitch in um, the length in mm?"
    ),
}  # fmt: skip
"""Every quantity of a lens: the range that can be, its unit, and what a value outside it usually is."""


def require_possible(**quantities: float) -> None:
    """Check quantities against LIMITS.

    Raises:
        LensError: one cannot be; names it, its unit and the usual slip.
    """
    for name, value in quantities.items():
        limit = LIMITS[name]
        if not isinstance(value, Real) or isinstance(value, bool):
            expected = f"a number from {limit.smallest:g} to {limit.largest:g} {limit.unit}"
            raise LensError(f"{name} is {value!r}; expected {expected}")
        if limit.smallest <= value <= limit.largest:
            continue
        hint = limit.above if value > limit.largest else limit.below
        hint = f" ({hint})" if value > 0 else ""
        raise LensError(f"{name} is {value:g}; expected {limit.smallest:g} to {limit.largest:g} {limit.unit}{hint}")


def require_focusable(focus_distance_m: float, focal_length_mm: float) -> None:
    """Check that a lens can be focused so near.

    Raises:
        LensError: it cannot.
    """
    if focus_distance_m * 1e3 <= focal_length_mm:
        raise LensError(
            f"focus_distance_m is {focus_distance_m:g}; it must be beyond the focal length ({focal_length_mm:g} mm), "
            "nothing nearer can be focused"
        )


def resizing_softness_px(factor: float) -> float:
    """Blur diameter that resizing an image by `factor` adds, in pixels of the result (4 sigma).

    As the package resizes: INTER_AREA to shrink, INTER_CUBIC to grow. Against the same light taken by pixels of the
    new size, a shrunk image is softer by sigma^2 = factor^2 / 6 (two pixels' boxes at changing phase), and not at all
    where whole pixels are averaged (1/factor an integer); an enlarged one by factor^2 / 6 - 0.05 (measured on 1/f
    texture; bilinear: factor^2 / 4). Resizing by f and back, area and then linear, is 0.25 / f^2 - 0.05.
    """
    if not (np.isfinite(factor) and factor > 0):
        raise LensError(f"an image cannot be resized by {factor}")
    if factor < 1:
        inverse = 1 / factor
        variance = 0.0 if abs(inverse - round(inverse)) < 1e-3 else factor**2 / 6
    else:
        variance = factor**2 / 6 - 0.05 if factor > 1 else 0.0
    return 4 * float(np.sqrt(variance))


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
        require_possible(
            focal_length_mm=self.focal_length_mm,
            f_number=self.f_number,
            focus_distance_m=self.focus_distance_m,
            pixel_pitch_um=self.pixel_pitch_um,
        )
        require_focusable(self.focus_distance_m, self.focal_length_mm)

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
    blur_floor_px: blur c0 that remains in focus; the total blur, which an image shows, is sqrt(beta^2 + c0^2).
    """

    gain_px_per_dioptre: float
    focus_distance_m: float
    side: Side = "far"
    blur_floor_px: float = 0.0

    def __post_init__(self) -> None:
        require_possible(gain_px_per_dioptre=self.gain_px_per_dioptre, focus_distance_m=self.focus_distance_m)
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
        require_possible(fx_px=fx_px, aperture_diameter_mm=aperture_diameter_mm)
        return cls(
            gain_px_per_dioptre=fx_px * aperture_diameter_mm * 1e-3,
            focus_distance_m=focus_distance_m,
            side=side,
            blur_floor_px=blur_floor_px,
        )

    def scaled(self, factor: float) -> DefocusCurve:
        """The curve after the image is resized by `factor`: blur in pixels scales with fx, and resizing softens."""
        if factor == 1:
            return self
        counted = self.counted_in(factor)
        floor_px = float(np.hypot(counted.blur_floor_px, resizing_softness_px(factor)))
        return replace(counted, blur_floor_px=floor_px)

    def counted_in(self, factor: float) -> DefocusCurve:
        """The same blur of the same image, counted in pixels of which there are `factor` times as many in a row."""
        if factor == 1:
            return self
        return replace(
            self,
            gain_px_per_dioptre=self.gain_px_per_dioptre * factor,
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
        """Total blur diameter [px], which an image shows: the blur floor added in quadrature."""
        return np.hypot(self.signed_coc_px(depth_m), self.blur_floor_px)

    def depth_m(self, coc_px: FloatArray) -> FloatArray:
        """Depth [m] of a reading of total blur, on this curve's side; +inf where it exceeds that of infinity.

        1/d = 1/F - c/K beyond the focus plane, 1/F + c/K before it. Shape and floating dtype of `coc_px`.
        """
        coc_px = np.asarray(coc_px)
        # In place: a map of 1 MB costs more in fresh memory than in arithmetic, and this runs for every frame.
        depth = np.asarray(self._without_floor(coc_px), dtype=np.result_type(coc_px, np.float32))
        gain = self.gain_px_per_dioptre
        (np.subtract if self.side == "far" else np.add)(gain / self.focus_distance_m, depth, out=depth)
        np.maximum(depth, 0, out=depth)
        with np.errstate(divide="ignore"):
            return np.divide(gain, depth, out=depth)

    def depth_std_m(self, depth_m: FloatArray, coc_std_px: FloatArray, coc_px: FloatArray) -> FloatArray:
        """One standard deviation of depth [m] from that of the total blur: d^2 * std_c / K.

        With the floor taken out, std_c = std_R * R / c. That grows without bound where c falls to 0; what is in focus
        is known from one side only, so there std_c is the interval from focus to what the reading allows,
        sqrt((R + std_R)^2 - c0^2), whichever is the smaller.

        Args:
            depth_m: depth of the reading.
            coc_std_px: standard deviation of the reading.
            coc_px: the reading R; unused without a floor.
        """
        std = np.square(depth_m)
        std *= 1.0 / self.gain_px_per_dioptre
        std *= self._std_without_floor(coc_px, coc_std_px) if self.blur_floor_px > 0 else coc_std_px
        return std

    def _without_floor(self, coc_px: FloatArray) -> FloatArray:
        """The blur of the lens alone in a total blur."""
        if self.blur_floor_px == 0:
            return np.maximum(coc_px, 0)
        lens_coc = np.square(coc_px)
        lens_coc -= self.blur_floor_px**2
        np.maximum(lens_coc, 0, out=lens_coc)
        return np.sqrt(lens_coc, out=lens_coc)

    def _std_without_floor(self, coc_px: FloatArray, coc_std_px: FloatArray) -> FloatArray:
        reading = np.maximum(coc_px, self.blur_floor_px)
        first_order = self._without_floor(reading)
        np.maximum(first_order, SMALLEST_COC_PX, out=first_order)
        np.divide(reading, first_order, out=first_order)
        first_order *= coc_std_px
        reading += coc_std_px
        interval = self._without_floor(reading)
        return np.minimum(first_order, interval, out=interval)

    def in_focus_band_m(self, smallest_coc_px: float = 1.0) -> tuple[float, float]:
        """Nearest and farthest depth [m] whose blur stays under `smallest_coc_px`: inside, depth is unresolved."""
        margin = smallest_coc_px / self.gain_px_per_dioptre
        focus = 1.0 / self.focus_distance_m
        return 1.0 / (focus + margin), (1.0 / (focus - margin) if focus > margin else float("inf"))

    def mirror_depth_m(self, depth_m: float) -> float:
        """The depth on the other side of the focus plane that blurs exactly alike (inf if there is none)."""
        inverse_depth = 2.0 / self.focus_distance_m - 1.0 / depth_m
        return 1.0 / inverse_depth if inverse_depth > 0 else float("inf")
