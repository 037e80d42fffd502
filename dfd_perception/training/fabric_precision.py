# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Which arithmetic a recipe's `precision: auto` means on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

FabricPrecision = Literal["32-true", "bf16-mixed"]
CPU_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def chosen_precision(precision: str, accelerator: str) -> FabricPrecision:
    """bf16 autocast where asked, or where `auto` finds a processor that computes in it."""
    if precision == "auto":
        on_gpu = accelerator != "cpu" and torch.cuda.is_available()
        fast = torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu else cpu_computes_bf16()
        precision = "bf16" if fast else "fp32"
    return "bf16-mixed" if precision == "bf16" else "32-true"


def cpu_computes_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU has bfloat16 products; without them autocast is slower than float32."""
    try:
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    return any(CPU_FLAGS & set(line.split()) for line in lines if line.lower().startswith(("flags", "features")))
