# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The parameters of `dfd_node`, each declared here and nowhere else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dfd_perception.core.camera_info import RECTIFIED_CHOICES, Rectified
from dfd_perception.core.colormap import DEFAULT_RANGE_M
from dfd_perception.core.lens import LensDescription
from dfd_perception.core.optics import Side
from dfd_perception.core.size import Size, size_from_text
from dfd_perception.errors import ConfigError, LensError
from dfd_perception.inference.backends.table import PRECISIONS, Precision, backend_names
from dfd_perception.inference.estimator import EstimatorOptions
from dfd_perception.ros.shared.parameters import NodeParameters, parameter
from dfd_perception.ros.shared.qos import INPUT_PROFILES, PROFILES


@dataclass(frozen=True, kw_only=True)
class DfdParameters(NodeParameters):
    """Values of one configuration of the node."""

    model: str = parameter("model", "2hded-small", "Model: a folder's name (installed or user's models) or its path")
    backend: str = parameter(
        "backend", "auto", "What runs the network; auto takes the fastest that works here",
        choices=backend_names(),
    )  # fmt: skip
    precision: Precision = parameter("precision", "fp32", "Arithmetic of the network", choices=PRECISIONS)
    device: str = parameter("device", "auto", "Where it runs: auto, cpu, cuda, cuda:N")
    heads: str = parameter(
        "heads", "auto", "Heads that may run: auto = those that somebody subscribes to",
        choices=("auto", "depth", "deblurred", "both"),
    )  # fmt: skip
    input_transport: str = parameter(
        "input.transport", "raw", "Subscribe to image (raw) or image/compressed", choices=("raw", "compressed")
    )
    input_size: str = parameter(
        "input.size", "", "HEIGHTxWIDTH that images are fitted into, aspect kept, for the network; empty = as they are"
    )
    output_size: str = parameter("output.size", "", "HEIGHTxWIDTH of all outputs; empty = size of the input image")
    depth_encoding: str = parameter(
        "depth.encoding", "32FC1", "32FC1: metres, NaN invalid; 16UC1: millimetres, 0 invalid",
        choices=("32FC1", "16UC1"), dynamic=True,
    )  # fmt: skip
    depth_min_m: float = parameter(
        "depth.min_m", 0.0, "Nearer depth becomes invalid [m]; also the near end of the colours", low=0.0, dynamic=True
    )
    depth_max_m: float = parameter(
        "depth.max_m", 10.0, "Farther depth becomes invalid [m]; also the far end of the colours", low=0.0, dynamic=True
    )
    depth_max_rel_std: float = parameter(
        "depth.max_rel_std", 0.0, "Depth less certain than this fraction of itself becomes invalid; 0 = off",
        low=0.0, high=10.0, dynamic=True,
    )  # fmt: skip
    lens_focal_length_mm: float = parameter(
        "lens.focal_length_mm", 0.0, "Focal length [mm]; 0 = not given", low=0.0, dynamic=True
    )
    lens_f_number: float = parameter("lens.f_number", 0.0, "F-number; 0 = not given", low=0.0, dynamic=True)
    lens_aperture_diameter_mm: float = parameter(
        "lens.aperture_diameter_mm", 0.0, "Aperture diameter [mm], instead of focal length and f-number; 0 = not given",
        low=0.0, dynamic=True,
    )  # fmt: skip
    lens_focus_distance_m: float = parameter(
        "lens.focus_distance_m", 0.0, "Depth that is in focus [m]; 0 = not given", low=0.0, dynamic=True
    )
    lens_pixel_pitch_um: float = parameter(
        "lens.pixel_pitch_um", 0.0, "Pitch of the stored pixels [um], for fx where no camera_info fits; 0 = not given",
        low=0.0, dynamic=True,
    )  # fmt: skip
    lens_side: Side = parameter(
        "lens.side", "far", "Where the scene lies: beyond the focus distance or before it", choices=("far", "near"),
        dynamic=True,
    )  # fmt: skip
    lens_blur_floor_px: float = parameter(
        "lens.blur_floor_px", -1.0, "Blur diameter of what is in focus [px]; -1 = the typical one of the model card",
        low=-1.0, high=100.0, dynamic=True,
    )  # fmt: skip
    camera_rectified: Rectified = parameter(
        "camera.rectified", "auto", "true: fx and points by P of camera_info; false: by K and distortion; auto: as the "
        "topic's name and camera_info say", choices=RECTIFIED_CHOICES, dynamic=True,
    )  # fmt: skip
    qos_input: str = parameter(
        "qos.input", "auto", "QoS profile of the inputs; auto = reliable where the publisher offers it",
        choices=INPUT_PROFILES,
    )  # fmt: skip
    qos_input_depth: int = parameter("qos.input_depth", 1, "Queue of the image subscription", low=1, high=100)
    qos_output: str = parameter("qos.output", "reliable", "QoS profile of all outputs", choices=PROFILES)
    qos_output_depth: int = parameter("qos.output_depth", 2, "Queue of each output", low=1, high=100)
    max_age_s: float = parameter(
        "max_age_s", 0.0, "Frames older than this (node clock minus stamp) are dropped [s]; 0 = never",
        low=0.0, dynamic=True,
    )  # fmt: skip
    num_threads: int = parameter("num_threads", 0, "CPU threads of the network; 0 = all", low=0, high=1024)
    engine_cache_dir: str = parameter("engine_cache_dir", "", "Folder of TensorRT engines; empty = the user's cache")
    snapshot_dir: str = parameter(
        "snapshot_dir", "", "Folder of ~/save_snapshot; empty = ~/.local/state/dfd_perception/snapshots", dynamic=True
    )

    def __post_init__(self) -> None:
        if not self.depth_min_m < self.depth_max_m:
            raise ConfigError(
                f"parameters depth.min_m and depth.max_m are {self.depth_min_m:g} and {self.depth_max_m:g}; "
                "expected the first below the second"
            )
        parse_size("input.size", self.input_size)
        parse_size("output.size", self.output_size)

    @property
    def colour_range_m(self) -> tuple[float, float]:
        """Fixed range of depth/image_color."""
        near = self.depth_min_m or min(DEFAULT_RANGE_M[0], self.depth_max_m / 10)
        return near, self.depth_max_m

    def estimator_options(self) -> EstimatorOptions:
        """What of this concerns the estimator."""
        return EstimatorOptions(
            backend=self.backend,
            precision=self.precision,
            device=self.device,
            num_threads=self.num_threads,
            input_size=parse_size("input.size", self.input_size),
            output_size=parse_size("output.size", self.output_size),
            depth_min_m=self.depth_min_m,
            depth_max_m=self.depth_max_m,
            depth_max_rel_std=self.depth_max_rel_std,
            engine_cache_dir=Path(self.engine_cache_dir).expanduser() if self.engine_cache_dir else None,
        )

    def lens(self) -> LensDescription:
        """The lens.

        Raises:
            LensError: the numbers that are missing, by their parameters' names, or contradict each other.
        """
        missing = []
        if not self.lens_focus_distance_m:
            missing.append("lens.focus_distance_m")
        if not self.lens_aperture_diameter_mm:
            absent = [n for n in ("focal_length_mm", "f_number") if not getattr(self, f"lens_{n}")]
            missing += [f"lens.{name}" for name in absent]
        if missing:
            raise LensError(f"{', '.join(missing)} not set")
        return LensDescription(
            focus_distance_m=self.lens_focus_distance_m,
            focal_length_mm=self.lens_focal_length_mm or None,
            f_number=None if self.lens_aperture_diameter_mm else self.lens_f_number,
            aperture_diameter_mm=self.lens_aperture_diameter_mm or None,
            pixel_pitch_um=self.lens_pixel_pitch_um or None,
            side=self.lens_side,
            blur_floor_px=self.lens_blur_floor_px if self.lens_blur_floor_px >= 0 else None,
        )


def parameters_of_lens(lens: LensDescription) -> dict[str, float | str]:
    """Parameters that give the node this lens, and no other: what it leaves open is stated as not given."""
    left_open: dict[str, Any] = {field.name: field.default for field in fields(DfdParameters)}
    values: dict[str, float | str] = {}
    for name, value in asdict(lens).items():
        stated = left_open[f"lens_{name}"] if value is None else value
        values[f"lens.{name}"] = stated if isinstance(stated, str) else float(stated)
    return values


def parse_size(name: str, text: str) -> Size | None:
    """(height, width) of "HEIGHTxWIDTH"; None of an empty text.

    Raises:
        ConfigError: anything else.
    """
    if not text:
        return None
    return size_from_text(text, f"parameter {name}")
