# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A model is a folder: `model.yaml`, `weights.safetensors`, and `model.onnx` for every backend but torch.

Reading one needs neither torch nor an inference runtime. Weights are addressed by their sha256, so that
a cache, a report and a diagnostic can say exactly which ones ran.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dfd_perception.core.blur_error import stated_blur_error
from dfd_perception.core.image_protocol import ImageProtocol
from dfd_perception.core.lens import LensDescription, ResolvedLens
from dfd_perception.core.optics import DefocusCurve, Lens
from dfd_perception.core.prediction import Heads
from dfd_perception.core.size import Size
from dfd_perception.environment import share_folders
from dfd_perception.errors import ModelError, lfs_pointer_advice
from dfd_perception.files.configuration import from_mapping, plain, read_yaml

MODEL_FILE = "model.yaml"
WEIGHTS_FILE = "weights.safetensors"
ONNX_FILE = "model.onnx"
LARGEST_FLOOR_PX = 100.0


@dataclass(frozen=True, kw_only=True)
class TrainedRange:
    """What the weights have seen; outside of it the node warns."""

    input_size: Size
    """Height and width [px] of the training crops."""
    coc_px: tuple[float, float] | None = None
    """Circle of confusion (models with target coc)."""
    gain_px_per_dioptre: tuple[float, float] | None = None
    """K = fx * aperture diameter (models with target coc)."""
    depth_m: tuple[float, float] | None = None
    """Depth (models with target depth)."""


@dataclass(frozen=True, kw_only=True)
class FileHash:
    """A file of the folder and what it must hash to."""

    file: str
    sha256: str

    def __post_init__(self) -> None:
        if self.file != Path(self.file).name:
            raise ModelError(f"file {self.file!r} is not in the model's own folder; expected a name without folders")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """`model.yaml`: everything about the weights that is not the weights."""

    format: Literal[1] = 1
    variant: str
    """Network variant: 2hded or 2hded-small."""
    target: Literal["depth", "coc"]
    """What the upper head says: metres for one lens, or blur in pixels for any."""
    trained: TrainedRange
    weights: FileHash
    blur: Literal["total", "lens"] = "lens"
    """What `coc` means: the total blur of the image, or (older models) the circle of confusion of the lens alone."""
    blur_floor_px: float | None = None
    """Target coc, total blur: what the model reads of an ordinary camera in focus; None: not measured."""
    onnx: FileHash | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """Sizes of the network, as given to create_network."""
    heads: tuple[Literal["depth", "deblurred"], ...] = ("depth", "deblurred")
    """Heads that were trained; the others hold noise and are never run."""
    blur_bins: int = 0
    """Bins of blur that the network states a distribution over; its graph then takes `blur_log_prior`. 0: none."""
    normalisation: str = "inside the network: RGB in [0, 1]"
    lens: Lens | None = None
    """The one lens of a `depth` model."""
    training: dict[str, Any] = field(default_factory=dict)
    """Data with their licences, recipe, duration."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Figures measured, each with its data and protocol."""
    protocol: ImageProtocol | None = None
    """How the images were made that the weights learnt from; None: not known."""
    probe: dict[str, list[float]] = field(default_factory=dict)
    """What the weights answer to the probe image of inference/model_trial.py: the graph must answer the same."""

    def __post_init__(self) -> None:
        if not self.heads or len(set(self.heads)) < len(self.heads):
            raise ModelError(f"heads is {list(self.heads)}; expected depth, deblurred or both, each once")
        if self.target == "depth" and self.lens is None:
            raise ModelError("a model with target depth needs the lens that it was trained with; got none")
        if self.blur_floor_px is not None and not 0 <= self.blur_floor_px <= LARGEST_FLOOR_PX:
            raise ModelError(f"blur_floor_px is {self.blur_floor_px:g}; expected 0 to {LARGEST_FLOOR_PX:g} px")
        if self.blur_floor_px and self.blur == "lens":
            raise ModelError(
                f"blur_floor_px is {self.blur_floor_px:g}, but a model that reads the blur of the lens alone has none; "
                "expected blur: total"
            )
        stated_blur_error(self.metrics)  # refused at load, not when a lens is described

    @property
    def all_heads(self) -> Heads:
        """All heads that were trained, as what runs them is asked."""
        return "both" if len(self.heads) == 2 else self.heads[0]

    @property
    def typical_floor_px(self) -> float:
        """Blur floor [px] to take out where none was calibrated."""
        return self.blur_floor_px or 0.0

    def floor_note(self) -> str | None:
        """What to tell who gave no floor, or None where the card has none."""
        if not self.typical_floor_px:
            return None
        return (
            f"blur floor {self.typical_floor_px:.1f} px, typical of ordinary cameras (model card); "
            "calibrate yours: dfd calibrate-lens"
        )


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk, its card read and its files found."""

    path: Path
    card: ModelCard

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def weights_path(self) -> Path:
        return self.path / self.card.weights.file

    @property
    def short_hash(self) -> str:
        """First twelve digits of the weights' sha256: what diagnostics and reports show."""
        return self.card.weights.sha256[:12]

    def hash_of(self, backend: str) -> str:
        """First digits of the sha256 of the file that a backend runs: torch the weights, all others the graph."""
        described = self.card.weights if backend == "torch" or self.card.onnx is None else self.card.onnx
        return described.sha256[:12]

    @property
    def onnx_path(self) -> Path:
        """Path of the ONNX graph.

        Raises:
            ModelError: the folder has none.
        """
        if self.card.onnx is None:
            raise ModelError(
                f"{self.path}: no {ONNX_FILE}; write it with 'dfd export {self.path} --out {self.path / ONNX_FILE}'"
            )
        return self.path / self.card.onnx.file

    def require_trained(self, heads: Heads) -> None:
        """Check that heads can be run.

        Raises:
            ModelError: one of them was not trained.
        """
        absent = ({"depth", "deblurred"} if heads == "both" else {heads}) - set(self.card.heads)
        if absent:
            raise ModelError(
                f"model {self.name} has no trained {' and no '.join(sorted(absent))} head; "
                f"it has {', '.join(self.card.heads)}"
            )

    def verify(self) -> None:
        """Hash the files.

        Raises:
            ModelError: a file is missing or is not the one that the card describes.
        """
        for described in (self.card.weights, self.card.onnx):
            if described is not None:
                _verify_hash(self.path / described.file, described.sha256)

    def resolve(self, lens: LensDescription, fx_px: float | None = None) -> ResolvedLens:
        """A lens on the camera of the images, with the card's typical floor where it was not calibrated.

        Raises:
            LensError: as LensDescription.resolved.
        """
        resolved = lens.resolved(fx_px, floor_px=self.card.typical_floor_px)
        note = self.card.floor_note() if resolved.floor_assumed else None
        return resolved if note is None else resolved._replace(notes=(*resolved.notes, note))

    def resized(self, curve: DefocusCurve, factor: float) -> DefocusCurve:
        """The curve of the image resized by `factor`, as this model reads it."""
        return curve.scaled(factor) if self.card.blur == "total" else curve.counted_in(factor)

    def warnings_for(self, curve: DefocusCurve) -> list[str]:
        """What a user should know before trusting depth from this lens with these weights."""
        notes = []
        trained = self.card.trained.gain_px_per_dioptre
        gain = curve.gain_px_per_dioptre
        if trained is not None and not trained[0] <= gain <= trained[1]:
            notes.append(
                f"this lens blurs {gain:.1f} px per dioptre; the model was trained for {trained[0]:g} to "
                f"{trained[1]:g}: "
                + (
                    "make the image smaller (input.size; dfd predict: --input-size)"
                    if gain > trained[1]
                    else "use a wider aperture"
                )
            )
        if self.card.blur == "lens" and curve.blur_floor_px > 0:
            notes.append(
                f"model {self.name} reads the blur of the lens alone (blur: lens in {MODEL_FILE}): no floor of "
                f"{curve.blur_floor_px:.1f} px in it to take out, and depth near the focus is wrong; set blur_floor_px "
                "to 0, or use a model of blur: total"
            )
        return notes


def load_model_folder(name_or_path: str | Path, verify: bool = True) -> ModelFolder:
    """Find a model by folder name (user's models first, then the installed ones) or by path.

    Raises:
        ModelError: no such model, a card that is wrong, a file missing or altered.
    """
    path = find_model(name_or_path)
    card_path = path / MODEL_FILE
    if not card_path.is_file():
        raise ModelError(f"{path}: no {MODEL_FILE} in this folder; a model is model.yaml beside its weights")
    model = ModelFolder(path, from_mapping(ModelCard, read_yaml(card_path), str(card_path)))
    if verify:
        model.verify()
    return model


def find_model(name_or_path: str | Path) -> Path:
    """The folder of a model.

    Raises:
        ModelError: not found; the message lists where it was looked for and what there is.
    """
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return path.resolve()
    folders = model_search_path()
    if len(path.parts) == 1:
        for folder in folders:
            if (folder / path).is_dir():
                return folder / path
    known = sorted({p.parent.name for f in folders if f.is_dir() for p in f.glob(f"*/{MODEL_FILE}")})
    raise ModelError(
        f"model {str(name_or_path)!r} not found; it is neither a folder nor one of "
        f"{', '.join(known) or 'the installed models (there are none)'} (looked in {', '.join(map(str, folders))})"
    )


def model_search_path() -> list[Path]:
    """Where models are looked up by name: the user's directory, then the shares, then the source tree."""
    user = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    source = Path(__file__).resolve().parents[2] / "models"
    return [
        user / "dfd_perception/models",
        *(share / "models" for share in share_folders()),
        *([source] if source.is_dir() else []),
    ]


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _verify_hash(path: Path, expected: str) -> None:
    if not path.is_file():
        raise ModelError(f"{path}: missing; the model folder is incomplete, copy it again")
    actual = sha256_of(path)
    if actual != expected:
        pointer = lfs_pointer_advice(path)
        if pointer is not None:
            raise ModelError(pointer)
        raise ModelError(
            f"{path}: its sha256 is {actual[:12]}..., the card says {expected[:12]}...; "
            "the file was changed or did not arrive whole, copy the folder again"
        )


def card_as_mapping(card: ModelCard) -> dict[str, Any]:
    """The card as plain YAML values, without what is absent."""
    return {key: value for key, value in plain(card, absent=[None]).items() if value not in ({}, [])}
