# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The sections of a recipe: network, data, objective and optimiser."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dfd_perception.core.depth_encoding import parse_depth_unit
from dfd_perception.core.lens import LensDescription
from dfd_perception.core.point_spread import DISK, PointSpread
from dfd_perception.datasets.generated.texture import PHOTOGRAPH_SHARE
from dfd_perception.errors import ConfigError

Mode = Literal["supervised", "depth_only", "deblur_only", "self_supervised"]
Part = Literal["encoder", "upper_head", "lower_head"]
PARTS: tuple[Part, ...] = ("encoder", "upper_head", "lower_head")


def require(holds: bool, message: str) -> None:
    """Raise a ConfigError with the message unless it holds."""
    if not holds:
        raise ConfigError(message)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network and what it starts from."""

    variant: Literal["2hded", "2hded-small"] = "2hded-small"
    """2hded is the thesis' network (41 M parameters), 2hded-small the one for CPUs and small Jetsons."""
    target: Literal["depth", "coc"] = "coc"
    """What the upper head learns: depth [m] for one lens, or circle of confusion [px] for any lens."""
    options: dict[str, Any] = field(default_factory=dict)
    """Sizes, as create_network takes them."""
    start_from: str | None = None
    """Model folder (name or path) whose weights training starts from."""
    start_parts: tuple[Part, ...] = PARTS
    """Parts taken from it; the others start anew (say, an upper head of another target)."""
    encoder_weights: Path | None = None
    """torchvision's densenet121 weights (.pth or .safetensors) for the encoder of 2hded."""
    freeze: tuple[Part, ...] = ()
    """Parts that stay as they start, with their batch statistics."""
    evidence: float | None = None
    """Power that the published model's likelihoods of blur are raised to, 0 to 1: less than 1 for a model that will see
    other images than those it learnt from. null: that of the model started from, or 1."""
    image_prior: float | None = None
    """Power, 0 to 1, of how often an image shows each blur, as a prior of its pixels. null: as started from, or 0."""
    keep_statistics: bool = False
    """Batch statistics of all parts stay those of `start_from`: for few images, whose own would be noise."""

    def __post_init__(self) -> None:
        require(set(self.freeze) != set(PARTS), "model.freeze holds every part; nothing would be trained")
        require(
            self.evidence is None or 0 < self.evidence <= 1,
            f"model.evidence is {self.evidence}; expected more than 0, at most 1",
        )
        require(
            self.image_prior is None or 0 <= self.image_prior <= 1,
            f"model.image_prior is {self.image_prior}; expected 0 to 1",
        )
        require(
            self.start_from is not None or not self.keep_statistics,
            "model.keep_statistics keeps those of model.start_from, which is not given",
        )
        require(
            self.encoder_weights is None or self.variant == "2hded",
            f"model.encoder_weights fills the encoder of 2hded; the variant is {self.variant}",
        )
        require(
            self.encoder_weights is None or self.start_from is None or "encoder" not in self.start_parts,
            "model.encoder_weights and model.start_from both give the encoder; leave one out",
        )


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where samples come from."""

    kind: str = "auto"
    """"generated", a data set's name as `dfd doctor --data` prints it, or auto: what the folder holds."""
    path: Path | None = None
    """Folder of the data set; `--data` sets it."""
    train_split: str | None = "train"
    """Split to learn from; null: all samples."""
    validation_split: str = "auto"
    """Split to measure on; auto: "val" or "test", whichever the data set has."""
    lens: LensDescription | None = None
    """Lens that sharp images are defocused with, and of defocused ones whose data set does not say."""
    point_spread: PointSpread = DISK
    """Shape of the blur given to sharp images: {exponent: 2, sigma_per_coc: 0.3} is the Gaussian of Carvalho et al."""
    gain_px_per_dioptre: tuple[float, float] | None = None
    """Target coc: K that the model may be used with, for its card; null: that of the lens."""
    typical_floor_px: float | None = None
    """Target coc: blur that ordinary cameras carry in focus, for the card and for the labels of a camera whose lens
    states none; null: that of the lens, or of the model started from."""
    depth_unit: str | float | None = None
    """Of 16-bit depth that does not say: mm, tum, kitti, m, or metres per count; null: as the set says, or mm."""
    input: Literal["defocused", "aif"] = "defocused"
    """Image that the network sees; aif: the all-in-focus one, to compare."""
    textures: Path | None = None
    """Generated scenes: folder of photographs; null: procedural textures only."""
    photograph_share: float = PHOTOGRAPH_SHARE
    """Generated scenes: how often a photograph is drawn rather than a procedural texture."""
    scene_size_px: int = 192
    """Generated scenes: side of the images, at least the crop's."""
    largest_coc_px: float = 45.0
    """Generated scenes: upper end of the blur."""
    rendered: Path | None = None
    """Generated scenes: folder of sharp RGB-D images to draw scenes from; null: procedural ones only."""
    rendered_share: float = 0.6
    """Generated scenes: how often one of these is drawn, where there are any."""
    detailed_share: float = 0.0
    """Generated scenes: share whose surfaces are all rich in detail. Most of them while a network learns to read blur,
    few or none at the end: rooms are mostly plain."""
    scenes: int = 100_000
    """Generated scenes: how many there are before they repeat."""
    uses: int = 1
    """Generated scenes: how often each blurred scene is used, by another camera and in another crop."""
    keep_scenes: Path | None = None
    """Generated scenes: folder that keeps what is blurred (16 bytes a pixel) for later uses; null: blur anew."""
    fill_processes: int | None = None
    """Generated scenes that are kept: processes that blur those to come on the device that trains; null: one for each
    four that load where that is a GPU, none on a CPU."""
    validation_scenes: int = 48
    """Generated scenes: how many to measure on, none of which is learnt from."""
    licences: dict[str, str] = field(default_factory=dict)
    """Source to licence, for the model card."""

    def __post_init__(self) -> None:
        if self.depth_unit is not None:
            parse_depth_unit(self.depth_unit)
        require(0 <= self.photograph_share <= 1, f"data.photograph_share is {self.photograph_share}; expected 0 to 1")
        require(self.scene_size_px >= 32, f"data.scene_size_px is {self.scene_size_px}; expected 32 or more")
        require(0 <= self.rendered_share <= 1, f"data.rendered_share is {self.rendered_share}; expected 0 to 1")
        require(0 <= self.detailed_share <= 1, f"data.detailed_share is {self.detailed_share}; expected 0 to 1")
        require(self.scenes > 0 and self.validation_scenes > 0, "data.scenes and validation_scenes must be positive")
        require(self.uses > 0, f"data.uses is {self.uses}; expected 1 or more")
        fill = self.fill_processes
        require(fill is None or fill >= 0, f"data.fill_processes is {fill}; expected 0 or more")
        require(not fill or self.keep_scenes is not None, "data.fill_processes needs data.keep_scenes; got none")


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What is minimised."""

    mode: Mode = "supervised"
    """supervised: both heads; depth_only, deblur_only: one head; self_supervised: thesis chapter 5 (target coc)."""
    gradient_weight: float = 0.001
    """depth: mu of equation 3.3. More than a hundredth held the head at a constant in trials."""
    regulariser: str = "none"
    """depth: smoothing row of thesis Table 2.1 (none, hu, eigen, ummenhofer, xian, godard_modified), beside L1."""
    regulariser_weight: float | None = None
    """depth: its weight; null: the one of its paper."""
    deblur_weight: float | None = None
    """depth, supervised: lambda of equation 3.7; null: balanced on the first batch."""
    ssim_weight: float = 4.0
    """Psi of equation 3.6 (target depth and deblur_only)."""
    nll_weight: float = 0.3
    """coc: weight of the likelihood that teaches the log-variance; the mean learns from L1 alone."""
    border_weight: float = 0.0
    """coc: weight of the difference of the blur's steps [px]. From the first step on it holds a network that reads no
    blur yet at a constant; give it to one that does."""
    aif_weight: float = 20.0
    """coc: weight of the Charbonnier loss of the all-in-focus image beside an error in px."""
    sigma_per_coc: float = 0.25
    """self_supervised: sigma of the re-blurring disk over the circle of confusion (0.25: a lens')."""
    blur_floor_px: float = 0.0
    """self_supervised: total blur that the all-in-focus images carry themselves."""
    largest_coc_px: float = 27.0
    """self_supervised: widest blur of the re-blurring."""
    gamma: float = 1.0
    """self_supervised: re-blur in light = value ** gamma (2.2 for camera images; 1 as in the thesis)."""

    def __post_init__(self) -> None:
        for name in ("gradient_weight", "ssim_weight", "nll_weight", "border_weight", "aif_weight"):
            require(getattr(self, name) >= 0, f"objective.{name} is {getattr(self, name)}; expected 0 or more")
        for name in ("sigma_per_coc", "largest_coc_px", "gamma"):
            require(getattr(self, name) > 0, f"objective.{name} is {getattr(self, name)}; it must be positive")


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """How it is minimised."""

    name: Literal["adamw", "adam"] = "adamw"
    """adam is what the thesis used."""
    learning_rate: float = 1.5e-3
    """Peak of the schedule."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Decay of the running moments."""
    weight_decay: float = 1e-3
    """Decoupled with adamw, L2 with adam."""
    warmup_steps: int = 300
    """Steps of linear rise."""
    schedule: Literal["cosine", "constant", "step"] = "cosine"
    """After the rise: half a cosine over the whole run, nothing, or a factor each `step_every`."""
    final_share: float = 0.02
    """cosine: share of the peak that remains at the end."""
    step_every: int = 10_000
    """step: steps between two drops."""
    step_factor: float = 0.7
    """step: factor of a drop."""
    gradient_clip: float = 20.0
    """Longest gradient; 0: as it is."""
    ema_decay: float = 0.998
    """Decay of the averaged weights, which are the ones measured and kept; 0: the weights themselves."""

    def __post_init__(self) -> None:
        require(
            0 < self.learning_rate < float("inf"),
            f"optimiser.learning_rate is {self.learning_rate}; it must be positive",
        )
        require(0 <= self.ema_decay < 1, f"optimiser.ema_decay is {self.ema_decay}; expected 0 or more, under 1")
        require(self.warmup_steps >= 0, f"optimiser.warmup_steps is {self.warmup_steps}; expected 0 or more")
        require(self.gradient_clip >= 0, f"optimiser.gradient_clip is {self.gradient_clip}; expected 0 or more")
        require(self.step_every > 0, f"optimiser.step_every is {self.step_every}; it must be positive")
