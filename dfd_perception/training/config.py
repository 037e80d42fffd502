"""What a recipe (config/train/*.yaml) can say. A recipe states what differs from the defaults here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dfd_perception.datasets.augmentation import Augmentation
from dfd_perception.errors import ConfigError
from dfd_perception.lens_file import LensDescription

Mode = Literal["supervised", "depth_only", "deblur_only", "self_supervised"]
Part = Literal["encoder", "upper_head", "lower_head"]
PARTS: tuple[Part, ...] = ("encoder", "upper_head", "lower_head")


def _require(holds: bool, message: str) -> None:
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

    def __post_init__(self) -> None:
        _require(set(self.freeze) != set(PARTS), "model.freeze holds every part; nothing would be trained")
        _require(
            self.encoder_weights is None or self.variant == "2hded",
            f"model.encoder_weights fills the encoder of 2hded; the variant is {self.variant}",
        )
        _require(
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
    """Lens that sharp pictures are defocused with, and of defocused ones whose data set does not say."""
    gain_px_per_dioptre: tuple[float, float] | None = None
    """Target coc: K that the model may be used with, for its card; null: that of the lens."""
    input: Literal["defocused", "aif"] = "defocused"
    """Picture that the network sees; aif: the all-in-focus one, to compare."""
    textures: Path | None = None
    """Generated scenes: folder of photographs; null: procedural textures only."""
    photograph_share: float = 0.7
    """Generated scenes: how often a photograph is drawn rather than a procedural texture."""
    scene_size_px: int = 192
    """Generated scenes: side of the pictures, at least the crop's."""
    largest_coc_px: float = 27.0
    """Generated scenes: upper end of the blur."""
    scenes: int = 100_000
    """Generated scenes: how many there are before they repeat."""
    validation_scenes: int = 48
    """Generated scenes: how many to measure on, none of which is learnt from."""
    licences: dict[str, str] = field(default_factory=dict)
    """Source to licence, for the model card."""

    def __post_init__(self) -> None:
        _require(0 <= self.photograph_share <= 1, f"data.photograph_share is {self.photograph_share}; expected 0 to 1")
        _require(self.scene_size_px >= 32, f"data.scene_size_px is {self.scene_size_px}; expected 32 or more")
        _require(self.scenes > 0 and self.validation_scenes > 0, "data.scenes and validation_scenes must be positive")


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
    aif_weight: float = 20.0
    """coc: weight of the Charbonnier loss of the all-in-focus picture beside an error in px."""
    sigma_per_coc: float = 0.25
    """self_supervised: sigma of the re-blurring over the circle of confusion (0.25: a disk's second moment)."""
    largest_coc_px: float = 27.0
    """self_supervised: widest blur of the re-blurring."""
    gamma: float = 1.0
    """self_supervised: re-blur in light = value ** gamma (2.2 for camera pictures; 1 as in the thesis)."""

    def __post_init__(self) -> None:
        for name in ("gradient_weight", "ssim_weight", "nll_weight", "aif_weight"):
            _require(getattr(self, name) >= 0, f"objective.{name} is {getattr(self, name)}; expected 0 or more")
        for name in ("sigma_per_coc", "largest_coc_px", "gamma"):
            _require(getattr(self, name) > 0, f"objective.{name} is {getattr(self, name)}; it must be positive")


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
        _require(self.learning_rate > 0, f"optimiser.learning_rate is {self.learning_rate}; it must be positive")
        _require(0 <= self.ema_decay < 1, f"optimiser.ema_decay is {self.ema_decay}; expected 0 or more, under 1")
        _require(self.warmup_steps >= 0, f"optimiser.warmup_steps is {self.warmup_steps}; expected 0 or more")
        _require(self.gradient_clip >= 0, f"optimiser.gradient_clip is {self.gradient_clip}; expected 0 or more")
        _require(self.step_every > 0, f"optimiser.step_every is {self.step_every}; it must be positive")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A recipe."""

    name: str
    """Name of the run's folder and of the model."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The network and what it starts from."""
    data: DataConfig = field(default_factory=DataConfig)
    """Where samples come from."""
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(crop_px=(160, 160), flip_y=0.5))
    """Random changes of each sample; `crop_px` is the training size."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """What is minimised."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """How."""
    batch_size: int = 12
    """Samples of a step in each process."""
    accumulate: int = 1
    """Batches added up to one step: less memory at the same effective batch."""
    max_steps: int | None = None
    """Steps of the run."""
    max_minutes: float | None = None
    """Or its time, sittings added up. Learning rate and end then follow the clock, so no two runs are equal."""
    seed: int = 0
    """With it every number of a run on the same machine is fixed."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 where the processor computes in it."""
    channels_last: bool = True
    """Memory layout; faster on CPUs and GPUs alike."""
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU if there is one."""
    workers: int = 1
    """Processes that load samples, for each training process; 0: none."""
    threads: int = 0
    """CPU threads of the network; 0: as torch chooses."""
    log_every: int = 50
    """Steps between rows of metrics.jsonl."""
    validate_every: int = 1000
    """Steps between validations; one comes before the first step and one after the last."""
    validation_samples: int | None = 48
    """Samples measured, evenly over the validation split; null: all."""
    validation_max_side_px: int | None = None
    """Larger validation pictures are cropped about their centre; null: whole."""
    save_every_minutes: float = 5.0
    """Time between checkpoints; each validation writes one too."""
    runs: Path = Path("runs")
    """Folder that the run's folder is made in."""
    onnx: bool = True
    """Write model.onnx beside the weights, for every backend but torch."""

    def __post_init__(self) -> None:
        endless = self.max_steps is None and self.max_minutes is None
        _require(not endless, "max_steps or max_minutes is needed; got neither")
        for name in ("max_steps", "max_minutes", "batch_size", "accumulate", "log_every", "validate_every"):
            value = getattr(self, name)
            _require(value is None or value > 0, f"{name} is {value}; it must be positive")
        _require(self.workers >= 0, f"workers is {self.workers}; expected 0 or more")
        _require(
            self.objective.mode != "self_supervised" or self.model.target == "coc",
            "objective.mode self_supervised learns a defocus map: model.target must be coc",
        )


CHANGEABLE = frozenset(
    {"max_steps", "max_minutes", "workers", "threads", "log_every", "validate_every", "save_every_minutes",
     "accelerator", "runs", "onnx"}
)  # fmt: skip
"""Settings that a resumed run may change; another value of any other makes another run."""


def as_mapping(config: TrainConfig) -> dict[str, Any]:
    """The recipe with all defaults filled in, as plain YAML values."""
    return _plain(dataclasses.asdict(config))


def differences(stored: Mapping[str, Any], given: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Settings that differ in two resolved recipes, as "optimiser.betas: [0.9, 0.99] -> [0.5, 0.999]"."""
    found = []
    for key in stored.keys() | given.keys():
        old, new = stored.get(key), given.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append(f"{prefix}{key}: {old} -> {new}")
    return sorted(found)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
