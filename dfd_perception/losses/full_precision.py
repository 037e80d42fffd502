# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Losses in full precision under mixed-precision training."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")
HALF = (torch.float16, torch.bfloat16)


def in_full_precision(function: Callable[..., Result]) -> Callable[..., Result]:
    """Make a function of tensors compute in float32 (or wider) whatever autocast says.

    SSIM subtracts squares, re-blurring divides by small weights, and means run over a hundred thousand pixels:
    8 bits of mantissa are not enough. Autocast would put the convolutions inside back into half precision.
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Result:
        device = next((a.device.type for a in (*args, *kwargs.values()) if isinstance(a, Tensor)), "cpu")
        with torch.autocast(device, enabled=False):
            return function(*map(_widened, args), **{name: _widened(value) for name, value in kwargs.items()})

    return wrapped


def _widened(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALF else value
