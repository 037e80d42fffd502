# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The Python entry: load a model with a lens once, then call it with images.

Examples:
    >>> import dfd_perception as dfd
    >>> meter = dfd.load("2hded-small", lens="lens.yaml")  # doctest: +SKIP
    >>> result = meter("image.jpg")  # doctest: +SKIP
    >>> result.depth_m, result.std_m, result.blur_px, result.deblurred, result.points()  # doctest: +SKIP
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.closing import Closing
from dfd_perception.core.image_bytes import eight_bits
from dfd_perception.core.lens import LensDescription
from dfd_perception.core.lens_text import is_lens_text, lens_from_text
from dfd_perception.core.optics import DefocusCurve, Lens, require_possible
from dfd_perception.core.prediction import Heads
from dfd_perception.core.result import Result
from dfd_perception.core.size import Size
from dfd_perception.errors import ConfigError, DfdPerceptionError, ImageError, LensError, UsageError
from dfd_perception.files.configuration import from_mapping
from dfd_perception.files.images import read_image
from dfd_perception.files.lens_file import read_lens
from dfd_perception.files.model_folder import ModelFolder, load_model_folder
from dfd_perception.inference.backends.table import AUTO, Precision
from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions

__all__ = (
    "CameraIntrinsics", "DefocusCurve", "DfdPerceptionError", "LensDescription", "Meter", "Result", "load",
)  # fmt: skip

_log = logging.getLogger(__name__)

AnyImage = str | os.PathLike[str] | NDArray[Any]
"""A file, or an array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); uint8, uint16, or float from 0 to 1."""
AnyLens = str | os.PathLike[str] | Mapping[str, Any] | LensDescription | Lens | DefocusCurve | tuple[float, float]
"""A lens file, words ("35mm f/2.8 1.7m 36um"), keys, a lens object, or (aperture diameter [mm], focus distance [m])."""
ColourOrder = Literal["rgb", "bgr"]


class Meter(Closing):
    """A model ready to measure images. One thread at a time; networks are compiled on first use of an image size."""

    def __init__(
        self,
        model: ModelFolder,
        lens: AnyLens | None = None,
        *,
        fx_px: float | None = None,
        heads: Heads | None = None,
        options: EstimatorOptions | None = None,
    ) -> None:
        """See `load`, which is the usual way here."""
        self.model = model
        self.heads: Heads = heads or model.card.all_heads
        self._lens = _description(lens)
        self._fx_px = fx_px
        self.estimator = DepthEstimator(model, options)
        self.notes = self._notes()
        """What a user should know before trusting the results; also logged as warnings."""
        for note in self.notes:
            _log.warning("%s", note)

    def __call__(
        self,
        image: AnyImage,
        *,
        lens: AnyLens | None = None,
        fx_px: float | None = None,
        colour_order: ColourOrder = "rgb",
    ) -> Result:
        """Measure one image.

        Args:
            image: a file, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16 or floats from 0 to 1.
            lens: another lens than the meter's, for this image.
            fx_px: calibrated focal length [px] of this image; wins over the pixel pitch of the lens.
            colour_order: "bgr" for arrays that OpenCV read. Files need none.

        Returns:
            Maps of the image's size. Without a lens a model that measures blur gives `blur_px` and `deblurred` only.

        Raises:
            ImageError: not an image, or one that cannot be read.
            LensError: a lens that cannot be, or that lacks what makes pixels of it.
            ModelError, BackendError: the network cannot run.
        """
        image_rgb = as_rgb(image, colour_order)
        described = self._lens if lens is None else _description(lens)
        curve, fx, _ = self._resolved(described, self._fx_px if fx_px is None else fx_px)
        prediction = self.estimator.predict(image_rgb, curve, self.heads)
        return Result(
            image_rgb=image_rgb,
            depth_m=prediction.depth_m,
            std_m=prediction.depth_std_m,
            blur_px=prediction.coc_px,
            blur_std_px=prediction.coc_std_px,
            deblurred=prediction.deblurred,
            curve=curve,
            fx_px=fx,
            latency_s=prediction.latency_s,
        )

    def close(self) -> None:
        """Release the compiled networks; `with dfd.load(...) as meter` does it too."""
        self.estimator.close()

    def _resolved(
        self, lens: LensDescription | DefocusCurve | None, fx_px: float | None
    ) -> tuple[DefocusCurve | None, float | None, tuple[str, ...]]:
        """The lens in pixels of the image, its fx [px], and what the user should be told."""
        if fx_px is not None:
            require_possible(fx_px=fx_px)
        if lens is None or self.model.card.target == "depth":
            return None, fx_px, ()
        if isinstance(lens, DefocusCurve):
            return lens, fx_px, ()
        resolved = self.model.resolve(lens, fx_px)
        return resolved.curve, resolved.fx_px, resolved.notes

    def _notes(self) -> list[str]:
        curve, _, notes = self._resolved(self._lens, self._fx_px)
        if self.model.card.target == "depth":
            return ["the lens is not used: this model knows its own lens only"] if self._lens is not None else []
        return [] if curve is None else [*notes, *self.model.warnings_for(curve)]


def load(
    model: str | os.PathLike[str] | ModelFolder,
    lens: AnyLens | None = None,
    *,
    fx_px: float | None = None,
    heads: Heads | None = None,
    backend: str = AUTO,
    precision: Precision = "fp32",
    device: str = "auto",
    num_threads: int = 0,
    min_m: float = 0.0,
    max_m: float = float("inf"),
    max_rel_std: float = 0.0,
    input_size: Size | None = None,
) -> Meter:
    """Load a model, to be called with images.

    Args:
        model: folder by name ("2hded-small") or by path.
        lens: a lens file (path), words such as "35mm f/2.8 1.7m 36um", the keys of a lens file as a mapping, a lens
            object, or the two numbers (aperture diameter [mm], focus distance [m]), which need `fx_px`. Without it a
            model that measures blur gives no depth.
        fx_px: calibrated focal length [px] of the images; wins over the lens' pixel pitch.
        heads: "both", "depth" or "deblurred": what runs; None = all that the model has.
        backend: "auto", "tensorrt", "openvino", "onnxruntime" or "torch".
        precision: "fp32", "fp16" or "int8".
        device: "auto", "cpu", "cuda:0", ...
        num_threads: of the CPU; 0 = all.
        min_m: nearer depth becomes NaN [m].
        max_m: farther depth becomes NaN [m].
        max_rel_std: pixels whose std is more than this fraction of their depth become NaN; 0 = off.
        input_size: (height, width) [px] into which images are fitted before the network, results at their own size;
            None = as they are.

    Raises:
        UsageError: an option that is none of its choices.
        ModelError: no such model, or one that is damaged.
        LensError, ConfigError: a lens that cannot be, or cannot be read.
    """
    if not isinstance(model, (str, os.PathLike, ModelFolder)):
        raise UsageError(f"model is {model!r}; expected a name or a folder")
    if heads not in (None, *get_args(Heads)):
        raise UsageError(f"heads is {heads!r}; expected one of {', '.join(get_args(Heads))}, or None")
    options = EstimatorOptions(
        backend=backend,
        precision=precision,
        device=device,
        num_threads=num_threads,
        input_size=input_size,
        depth_min_m=min_m,
        depth_max_m=max_m,
        depth_max_rel_std=max_rel_std,
    )
    folder = model if isinstance(model, ModelFolder) else load_model_folder(os.fspath(model))
    return Meter(folder, lens, fx_px=fx_px, heads=heads, options=options)


def as_rgb(image: AnyImage, colour_order: ColourOrder = "rgb") -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a file or an array, as `Meter` takes it.

    Raises:
        ImageError: of another shape or type, or a float image that is not in 0 to 1.
    """
    if isinstance(image, (str, os.PathLike)):
        return read_image(Path(image))
    if not isinstance(image, np.ndarray):
        raise ImageError(f"image is of type {type(image).__name__}; expected a file name or a numpy array")
    if colour_order not in ("rgb", "bgr"):
        raise ImageError(f"colour_order is {colour_order!r}; expected 'rgb' or 'bgr'")
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or 0 in image.shape:
        raise ImageError(f"image has shape {image.shape}; expected (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)")
    image = image[..., :3]
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    elif colour_order == "bgr":
        image = image[..., ::-1]
    return np.ascontiguousarray(_as_uint8(image))


def _as_uint8(image: NDArray[Any]) -> NDArray[np.uint8]:
    image = image.astype(image.dtype.newbyteorder("="), copy=False)
    if image.dtype in (np.uint8, np.uint16):
        return eight_bits(image)
    if not np.issubdtype(image.dtype, np.floating):
        raise ImageError(f"image is {image.dtype}; expected uint8, uint16, or floats from 0 to 1")
    low, high = float(image.min()), float(image.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise ImageError(f"image holds floats from {low:g} to {high:g}; expected 0 to 1 (divide by 255?)")
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _description(lens: AnyLens | None) -> LensDescription | DefocusCurve | None:
    if lens is None or isinstance(lens, (LensDescription, DefocusCurve)):
        return lens
    if isinstance(lens, str) and is_lens_text(lens) and not Path(lens).exists():
        return lens_from_text(lens)
    if isinstance(lens, (str, os.PathLike)):
        if not Path(lens).exists():
            words = "35mm f/1.4 0.6m"
            raise ConfigError(f"{lens}: no such lens file; expected a file, or words such as {words!r}")
        return read_lens(Path(lens))
    if isinstance(lens, Mapping):
        return from_mapping(LensDescription, lens, "lens")
    if isinstance(lens, Lens):
        return LensDescription(
            focal_length_mm=lens.focal_length_mm,
            f_number=lens.f_number,
            focus_distance_m=lens.focus_distance_m,
            pixel_pitch_um=lens.pixel_pitch_um,
        )
    if isinstance(lens, tuple) and len(lens) == 2:
        return LensDescription(aperture_diameter_mm=lens[0], focus_distance_m=lens[1])
    raise LensError(
        f"lens is {lens!r}; expected a lens file, its keys as a mapping, a lens object, or the two numbers "
        "(aperture diameter [mm], focus distance [m])"
    )
