# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The same recipe several times with one setting changed, and a table of what came out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfd_perception.errors import ConfigError
from dfd_perception.files.configuration import from_mapping, with_overrides
from dfd_perception.training.config import TrainConfig
from dfd_perception.training.trainer import train

COLUMNS = (
    "depth.rmse_m", "depth.abs_rel", "depth.delta1", "defocus.mae", "deblurred.psnr_db", "deblurred.ssim"
)  # fmt: skip


def values_of(comparison: str) -> tuple[str, list[str]]:
    """Parts of "key=a,b,c".

    Raises:
        ConfigError: fewer than two values.
    """
    key, _, listed = comparison.partition("=")
    values = [value.strip() for value in listed.split(",") if value.strip()]
    if not key or len(values) < 2:
        raise ConfigError(f"--compare {comparison!r}; expected KEY=VALUE,VALUE with two values or more")
    return key, values


def compare(recipe: Mapping[str, Any], comparison: str, where: str) -> tuple[str, Path]:
    """Train once for each value and return the table (Markdown) and the file that keeps it.

    All recipes are read before the first one runs.
    """
    key, values = values_of(comparison)
    name = f"{recipe.get('name', 'comparison')}-{key.rpartition('.')[2]}"
    runs = [f"{name}-{value.replace('/', '-')}" for value in values]
    configs = [
        from_mapping(TrainConfig, with_overrides(recipe, [f"{key}={value}", f"name={run}"]), where)
        for value, run in zip(values, runs, strict=True)
    ]
    rows: dict[str, dict[str, float]] = {}
    path = configs[0].runs / f"{name}.md"
    for value, config in zip(values, configs, strict=True):
        result = train(config)
        if result.interrupted_by is not None:
            break
        rows[value] = result.metrics
        path.write_text(table(key, rows), encoding="utf-8")
        path.with_suffix(".json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return table(key, rows), path


def table(key: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown, one row a value, the columns that any run measured; in the order given, not by rank."""
    columns = [column for column in COLUMNS if any(column in metrics for metrics in rows.values())]
    lines = [[key.rpartition(".")[2], *columns], ["---"] * (len(columns) + 1)]
    for value, metrics in rows.items():
        lines.append([value, *(f"{metrics[c]:.4g}" if c in metrics else "" for c in columns)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
