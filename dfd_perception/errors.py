"""Every error that the package raises on purpose.

    DfdPerceptionError            exit 1: it failed
    ├── UsageError                exit 2: the user can mend it
    │   ├── ConfigError           a recipe, parameter or YAML file
    │   ├── LensError             a lens description that cannot be, or does not fit
    │   ├── ImageError            an image or message that cannot be read as one
    │   ├── DatasetError          a data set, session or bag
    │   ├── ModelError            a model folder, checkpoint or weights
    │   └── CalibrationError      a calibration that is poor, absent or of another camera
    ├── BackendError              an inference runtime that is absent or refuses
    │   └── EngineError           a TensorRT build, plan or run
    ├── RecordingError            a recording that cannot go on
    └── TrainingError             a training run that had to stop

A message says what was got, what was expected, and what to do.
"""

from __future__ import annotations


class DfdPerceptionError(Exception):
    """Base of all; `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(DfdPerceptionError):
    """Something that the user gave is wrong and the message says how to mend it."""

    exit_code = 2


class ConfigError(UsageError):
    """A recipe, parameter or YAML file is wrong."""


class LensError(UsageError):
    """A lens description is impossible, incomplete or does not fit the model."""


class ImageError(UsageError):
    """An image or image message cannot be read as one."""


class DatasetError(UsageError):
    """A data set, session or bag is incomplete or unreadable."""


class ModelError(UsageError):
    """A model folder, checkpoint or weights file is missing or does not fit."""


class CalibrationError(UsageError):
    """A calibration is absent, poor, or belongs to another camera."""


class BackendError(DfdPerceptionError):
    """An inference runtime is absent or refuses the model."""


class EngineError(BackendError):
    """A TensorRT engine cannot be built, loaded or run."""


class RecordingError(DfdPerceptionError):
    """A recording cannot go on; what was written stays."""


class TrainingError(DfdPerceptionError):
    """A training run had to stop; the last good checkpoint stays."""
