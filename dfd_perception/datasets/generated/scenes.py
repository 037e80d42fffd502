# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The generated data set: scenes drawn, blurred once, and photographed several times by different cameras.

The network reads blur, so the generator draws the blur of the nearest and of the farthest point and lets
inverse depth interpolate: for a lens with gain K that is the scene between 1/F - beta/K dioptres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dfd_perception.datasets.generated.camera import photograph
from dfd_perception.datasets.generated.exposure import Blur, Exposure, blur_on_cpu, expose
from dfd_perception.datasets.generated.layout import Layout, random_layout
from dfd_perception.datasets.generated.rendered import RenderedScenes
from dfd_perception.datasets.generated.texture import TextureBank
from dfd_perception.datasets.sample import DefocusSample

MARGIN_PX = 16
"""Cut off after blurring: the simulator repeats the border."""

WINDOW = 96
"""Exposures that neighbouring samples of the stream are drawn from."""


@dataclass(frozen=True, kw_only=True)
class GeneratedScenes:
    """An endless, deterministic data set of generated scenes.

    Exposure e (scene, lens, blur) depends on (seed, e) alone; item i is exposure i // uses, photographed by a camera
    that depends on (seed, i). Blurring takes longer than learning from a crop: each exposure is used `uses` times.
    """

    textures: TextureBank
    rendered: RenderedScenes | None = None
    """Sharp RGB-D images to draw scenes from, beside the procedural ones."""
    rendered_share: float = 0.6
    """How often, where there are any."""
    detailed_share: float = 0.0
    """Share of scenes that are procedural with textures rich in detail: what a network learns to read blur from."""
    size_px: int = 192
    """Side of the square images."""
    largest_coc_px: float = 45.0
    """Upper end of the blur diameters."""
    seed: int = 0
    length: int = 100_000
    """Number of exposures."""
    uses: int = 1
    """Samples of one exposure."""
    blur: Blur = blur_on_cpu
    """What defocuses the light."""
    name: str = "generated"

    def __len__(self) -> int:
        return self.length * self.uses

    def __getitem__(self, index: int) -> DefocusSample:
        """Sample `index`: defocused, all-in-focus and its total blur; no metric depth."""
        return self.sample_of(self.exposure(index // self.uses), index)

    def exposure(self, number: int) -> Exposure:
        """Scene `number` behind its lens."""
        rng = np.random.default_rng((self.seed, number))
        layout = self._layout(rng)
        taken = expose(rng, layout, self.largest_coc_px, self.blur)
        inner = (slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
        return replace(
            taken,
            light=taken.light[inner],
            sharp_light=taken.sharp_light[inner],
            signed_coc_px=taken.signed_coc_px[inner],
        )

    def sample_of(self, exposure: Exposure, index: int) -> DefocusSample:
        """Sample `index` of its exposure, by a camera of its own."""
        return photograph(np.random.default_rng((self.seed, index, 1)), exposure, f"{self.name}-{index:07d}")

    def index_at(self, position: int, seed: int) -> int:
        """Which sample stands at a position of the endless training stream.

        Early positions share few exposures, and each is used again while later ones are added: a run starts to learn
        before the last scene is drawn.
        """
        newest = self.newest_at(position)
        rng = np.random.default_rng((seed, position, 2))
        number = (newest - int(rng.integers(WINDOW))) % self.length
        return number * self.uses + int(rng.integers(self.uses))

    def newest_at(self, position: int) -> int:
        """The last exposure that may stand at a position of the stream; WINDOW of them may."""
        return (WINDOW + position // self.uses) % self.length

    def _layout(self, rng: np.random.Generator) -> Layout:
        size_px = self.size_px + 2 * MARGIN_PX
        if self.detailed_share and rng.random() < self.detailed_share:
            return random_layout(rng, size_px, self.textures.rich_in_detail())
        if self.rendered is not None and rng.random() < self.rendered_share:
            return self.rendered.random(rng, size_px)
        return random_layout(rng, size_px, self.textures)
