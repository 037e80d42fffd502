# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Panels of the report: input, prediction, truth and error, with colours that mean the same in every frame."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.colormap import ColourScale, blur_scale, scene_depth_scale
from dfd_perception.core.image_bytes import jpeg_bytes
from dfd_perception.evaluation.report.showcase import ShownFrame

WIDEST_PX = 480
ERROR_SCALES_M = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
NO_DATA_RGB = (118, 118, 118)


def error_scale_m(frames: list[ShownFrame]) -> float:
    """End of the error colours: the round number that covers three quarters of the errors of a middling frame."""
    errors = [np.abs(f.error_m[np.isfinite(f.error_m)]) for f in frames if f.error_m is not None]
    errors = [values for values in errors if values.size]
    if not errors:
        return 1.0
    reach = float(np.median([np.percentile(values, 75) for values in errors]))
    return next((scale for scale in ERROR_SCALES_M if scale >= reach), ERROR_SCALES_M[-1])


def colour_error(error_m: NDArray[np.float32], scale_m: float) -> NDArray[np.uint8]:
    """(H, W, 3) RGB: blue is too near, white is right, red is too far, grey is unknown."""
    place = np.clip(np.nan_to_num(error_m) / scale_m, -1, 1)[..., None].astype(np.float32)
    white, near, far = (np.array(rgb, np.float32) for rgb in ((245, 245, 245), (33, 102, 172), (178, 24, 43)))
    end = np.where(place < 0, near, far)
    image = white + np.abs(place) * (end - white)
    image[~np.isfinite(error_m)] = NO_DATA_RGB
    return image.astype(np.uint8)


def data_uri(image_rgb: NDArray[np.uint8], quality: int = 88) -> str:
    """An image inside the page, at most WIDEST_PX wide; enlarged pixels stay sharp by CSS."""
    height, width = image_rgb.shape[:2]
    if width > WIDEST_PX:
        size = (WIDEST_PX, max(1, round(height * WIDEST_PX / width)))
        image_rgb = cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA)
    # In full colour, or the colours of neighbouring distances run into each other.
    packed = jpeg_bytes(image_rgb, quality, full_colour=True)
    return f"data:image/jpeg;base64,{base64.b64encode(packed).decode('ascii')}"


def depth_scale_of(frames: list[ShownFrame]) -> ColourScale:
    """Depth colours for all frames that are shown: of the truth where there is any, else of the predictions."""
    truths = [frame.truth_m for frame in frames if frame.truth_m is not None]
    predictions = [frame.prediction.depth_m for frame in frames if frame.prediction.depth_m is not None]
    return scene_depth_scale(*(truths or predictions))


def blur_scale_of(frames: list[ShownFrame]) -> ColourScale:
    """Blur colours for all frames that are shown."""
    return blur_scale(*(frame.prediction.coc_px for frame in frames if frame.prediction.coc_px is not None))


@dataclass(frozen=True)
class PanelScales:
    """What the colours of all frames mean."""

    depth: ColourScale
    blur: ColourScale
    error_m: float
    """End of the error colours."""


def panels(frame: ShownFrame, scales: PanelScales) -> list[tuple[str, str]]:
    """Captions and data URIs of one frame, in the order of reading."""
    images = [("Input", data_uri(frame.image_rgb))]
    prediction = frame.prediction
    if prediction.depth_m is not None:
        images.append(("Depth, predicted", data_uri(scales.depth.colours(_shrunk(prediction.depth_m)))))
    elif prediction.coc_px is not None:
        images.append(("Blur, predicted", data_uri(scales.blur.colours(_shrunk(prediction.coc_px)))))
    if frame.truth_m is not None:
        images.append(("Depth, true", data_uri(scales.depth.colours(_shrunk(frame.truth_m)))))
    if frame.error_m is not None:
        images.append(("Error", data_uri(colour_error(_shrunk(frame.error_m), scales.error_m))))
    return images


def scale_gradient(scale: ColourScale) -> tuple[str, list[tuple[float, str]]]:
    """CSS gradient of a scale, and ticks as (percent along it, text)."""
    values = np.array([scale.value_at(place) for place in np.linspace(0, 1, 33)], np.float32)
    stops = ", ".join(f"rgb({r} {g} {b})" for r, g, b in scale.colours(values[None])[0])
    return f"linear-gradient(to right, {stops})", [(place * 100, text) for place, text in scale.ticks(6)]


def error_gradient(scale_m: float) -> tuple[str, list[tuple[float, str]]]:
    """CSS gradient of the error colours, and its ticks."""
    values = np.linspace(-scale_m, scale_m, 17, dtype=np.float32)[None]
    stops = ", ".join(f"rgb({r} {g} {b})" for r, g, b in colour_error(values, scale_m)[0])
    return (
        f"linear-gradient(to right, {stops})",
        [(0.0, f"\N{MINUS SIGN}{scale_m:g} m"), (50.0, "0"), (100.0, f"+{scale_m:g} m")],
    )


def _shrunk(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Nearest: colours of two distances must not mix into that of a third."""
    height, width = values.shape
    if width <= WIDEST_PX:
        return values
    size = (WIDEST_PX, max(1, round(height * WIDEST_PX / width)))
    return cv2.resize(values, size, interpolation=cv2.INTER_NEAREST_EXACT)
