# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What a recipe (config/train/*.yaml) can say. A recipe states what differs from the defaults here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dfd_perception.datasets.augmentation import Augmentation
from dfd_perception.training.config_sections import DataConfig, ModelConfig, ObjectiveConfig, OptimiserConfig, require


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
    """Larger validation images are cropped about their centre; null: whole."""
    save_every_minutes: float = 5.0
    """Time between checkpoints; each validation writes one too."""
    runs: Path = Path("runs")
    """Folder that the run's folder is made in."""
    onnx: bool = True
    """Write model.onnx beside the weights, for every backend but torch."""

    def __post_init__(self) -> None:
        require(
            self.name == Path(self.name).name,
            f"name is {self.name!r}; expected a name without folders (the run's folder is made in `runs`)",
        )
        endless = self.max_steps is None and self.max_minutes is None
        require(not endless, "max_steps or max_minutes is needed; got neither")
        for name in ("max_steps", "max_minutes", "batch_size", "accumulate", "log_every", "validate_every"):
            value = getattr(self, name)
            require(value is None or value > 0, f"{name} is {value}; it must be positive")
        require(0 <= self.seed < 2**63, f"seed is {self.seed}; expected 0 or more, of 63 bits")
        require(self.workers >= 0, f"workers is {self.workers}; expected 0 or more")
        require(
            self.objective.mode != "self_supervised" or self.model.target == "coc",
            "objective.mode self_supervised learns a defocus map: model.target must be coc",
        )


CHANGEABLE = frozenset(
    {"max_steps", "max_minutes", "workers", "threads", "log_every", "validate_every", "save_every_minutes",
     "accelerator", "runs", "onnx"}
)  # fmt: skip
"""Settings that a resumed run may change; another value of any other makes another run."""


def differences(stored: Mapping[str, Any], present: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Settings that differ in two resolved recipes, as "optimiser.betas: [0.9, 0.99] -> [0.5, 0.999]"."""
    lines = []
    for key in stored.keys() | present.keys():
        old, new = stored.get(key), present.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            lines += differences(old, new, f"{prefix}{key}.")
        elif old != new:
            lines.append(f"{prefix}{key}: {old} -> {new}")
    return sorted(lines)
