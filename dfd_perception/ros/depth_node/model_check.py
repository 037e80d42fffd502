# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Whether a model fits what the node was told: its files, its lens, its backend."""

from __future__ import annotations

from dfd_perception.errors import BackendError, ConfigError
from dfd_perception.files.model_folder import ModelFolder, load_model_folder
from dfd_perception.inference.ladder import obstacle
from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters

LENS_TOLERANCE = 0.02


def checked_model(parameters: DfdParameters) -> ModelFolder:
    """The model of the parameters, with the lens and the backend that they name.

    Raises:
        DfdPerceptionError: no such model, files altered, another lens than its own, or a backend that cannot run it.
    """
    model = load_model_folder(parameters.model)
    problem = depth_model_lens_problem(model, parameters)
    if problem:
        raise ConfigError(problem)
    # TensorRT is asked by whoever imports it: what to do about its absence depends on the machine.
    checked_elsewhere = parameters.backend in ("auto", "tensorrt")
    in_the_way = None if checked_elsewhere else obstacle(parameters.backend, model)
    if in_the_way:
        raise BackendError(f"parameter backend is {parameters.backend!r}, but {in_the_way}")
    return model


def depth_model_lens_problem(model: ModelFolder, parameters: DfdParameters) -> str | None:
    """How the configured lens differs from the one that a `depth` model was trained with; None if it does not."""
    trained = model.card.lens
    if model.card.target != "depth" or trained is None:
        return None
    stated = {
        "lens.focal_length_mm": (parameters.lens_focal_length_mm, trained.focal_length_mm),
        "lens.f_number": (parameters.lens_f_number, trained.f_number),
        "lens.focus_distance_m": (parameters.lens_focus_distance_m, trained.focus_distance_m),
        "lens.aperture_diameter_mm": (parameters.lens_aperture_diameter_mm, trained.aperture_diameter_mm),
    }
    differing = [
        f"{name} is {value:g}, the model was trained with {expected:g}"
        for name, (value, expected) in stated.items()
        if value and abs(value - expected) > LENS_TOLERANCE * expected
    ]
    if not differing:
        return None
    return f"{'; '.join(differing)}: its depth holds for its own lens only; use a model with target coc"
