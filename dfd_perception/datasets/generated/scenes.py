"""Training images without a download: procedural scenes defocused by the layered simulator.

The network reads blur, so the generator draws the blur of the nearest and of the farthest point and lets
inverse depth interpolate: for a lens with gain K that is the scene between 1/F - beta/K dioptres.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_perception.core.layered_blur import blur_layers
from dfd_perception.core.point_spread import PointSpread
from dfd_perception.core.sensor import (
    SensorNoise,
    encoded_from_linear,
    jpeg_round_trip,
    linear_from_encoded,
    uint8_from_encoded,
)
from dfd_perception.datasets.generated.layout import random_layout
from dfd_perception.datasets.generated.texture import TextureBank
from dfd_perception.datasets.sample import DefocusSample


@dataclass(frozen=True, kw_only=True)
class GeneratedScenes:
    """An endless, deterministic data set of generated scenes: item i depends on (seed, i) alone."""

    textures: TextureBank
    size_px: int = 192
    """Side of the square images."""
    largest_coc_px: float = 27.0
    """Upper end of the blur diameters."""
    seed: int = 0
    length: int = 100_000
    name: str = "generated"

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> DefocusSample:
        """Scene `index`: defocused, all-in-focus and its circle of confusion; no metric depth."""
        rng = np.random.default_rng((self.seed, index))
        margin = 16
        layout = random_layout(rng, self.size_px + 2 * margin, self.textures)
        beta = signed_blur(rng, layout.nearness, self.largest_coc_px)
        aif, defocused = photograph(rng, soften_source(rng, layout.image), beta)
        inner = (slice(margin, -margin), slice(margin, -margin))
        return DefocusSample(
            name=f"{self.name}-{index:06d}",
            defocused=np.ascontiguousarray(defocused[inner]),
            aif=np.ascontiguousarray(aif[inner]),
            coc_px=np.ascontiguousarray(np.abs(beta[inner])),
        )


def signed_blur(
    rng: np.random.Generator, nearness: NDArray[np.float32], largest_coc_px: float
) -> NDArray[np.float32]:
    """Signed circle of confusion [px] over the scene: mostly focused at its near end, as a user is told to."""
    draw = rng.random()
    if draw < 0.06:
        nearest, farthest = np.sort(rng.uniform(-0.7, 0.7, 2))
    elif draw < 0.76:
        nearest = max(rng.normal(1.0, 3.0), -4.0)
        if rng.random() < 0.35:
            nearest = rng.uniform(0, 0.8 * largest_coc_px)
        nearest = min(nearest, 0.9 * largest_coc_px)
        # Half of the scenes are a weak lens': less blur between their nearest and farthest point.
        reach = largest_coc_px if rng.random() < 0.5 else min(nearest + 12.0, largest_coc_px)
        farthest = rng.uniform(nearest, reach)
    elif draw < 0.88:
        farthest = max(-max(rng.normal(1.0, 3.0), -3.0), -0.9 * largest_coc_px)
        nearest = rng.uniform(-largest_coc_px, farthest)
    else:
        nearest, farthest = -rng.uniform(0, 0.6 * largest_coc_px), rng.uniform(0, 0.6 * largest_coc_px)
    return (farthest + (nearest - farthest) * nearness).astype(np.float32)


def soften_source(rng: np.random.Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Source images of several sharpness levels: optics, demosaicing, scaling, sharpening, compression.

    Most are soft to some degree, as every camera's are: what is learnt is blur beyond that.
    """
    draw = rng.random()
    if draw < 0.4:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.1))
    elif draw < 0.55:
        scale = rng.uniform(0.5, 0.95)
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    elif draw < 0.85:
        # As a colour sensor sees: softened by its lens or low-pass filter, then interpolated.
        image = _demosaiced(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.8)))
    if rng.random() < 0.15:
        halo = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 1.5))
        image = image + np.float32(rng.uniform(0.2, 1.0)) * (image - halo)
    if rng.random() < 0.3:
        compressed = jpeg_round_trip(uint8_from_encoded(image), int(rng.integers(60, 96)))
        image = compressed.astype(np.float32) / np.float32(255)
    return np.clip(image, 0, 1)


def _demosaiced(image: NDArray[np.float32]) -> NDArray[np.float32]:
    rgb = uint8_from_encoded(image)
    mosaic = rgb[..., 1].copy()
    mosaic[::2, ::2] = rgb[::2, ::2, 0]
    mosaic[1::2, 1::2] = rgb[1::2, 1::2, 2]
    # OpenCV names the pattern by its second row and column: RGGB is its "BayerBG".
    return cv2.cvtColor(mosaic, cv2.COLOR_BayerBG2RGB).astype(np.float32) / 255


def random_point_spread(rng: np.random.Generator) -> PointSpread:
    """Between disk and Gaussian at equal second moment, round or with blades, slightly oval."""
    draw = rng.random()
    if draw < 0.2:
        exponent = 2.0
    elif draw < 0.6:
        exponent = float("inf")
    else:
        exponent = float(np.exp(rng.uniform(np.log(2), np.log(32))))
    blades = int(rng.integers(5, 10)) if exponent > 8 and rng.random() < 0.35 else 0
    return PointSpread(
        exponent=exponent,
        blades=blades,
        rotation_rad=float(rng.uniform(0, 2 * np.pi)),
        squeeze=float(np.exp(rng.normal(0, 0.03))),
    )


def photograph(
    rng: np.random.Generator, scene: NDArray[np.float32], beta: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Take the scene through lens, sensor and processing: (all-in-focus, defocused) uint8 RGB.

    Three of four are blurred in linear light, as light is; the rest in encoded values, as many simulators do.
    """
    gamma = float(rng.uniform(1.8, 2.4)) if rng.random() < 0.75 else 1.0
    linear = linear_from_encoded(scene, gamma)
    blurred = blur_layers(linear, beta, random_point_spread(rng))
    if rng.random() < 0.75:
        noise = SensorNoise(
            full_well_e=float(np.exp(rng.uniform(np.log(300), np.log(20_000)))),
            read_noise=float(np.exp(rng.uniform(np.log(5e-4), np.log(8e-3)))),
        )
        blurred = noise.added_to(blurred, rng)
    defocused = uint8_from_encoded(encoded_from_linear(blurred, gamma))
    if rng.random() < 0.5:
        defocused = jpeg_round_trip(defocused, int(rng.integers(65, 99)))
    return uint8_from_encoded(scene), defocused
