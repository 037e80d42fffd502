# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""docs/formats.md names every key that files of this package may hold."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from dfd_perception.core.lens import LensDescription
from dfd_perception.datasets.folder import DatasetDescription
from dfd_perception.evaluation.report.report_json import schema
from dfd_perception.files.model_folder import ModelCard
from dfd_perception.groundtruth.session import SessionDescription
from dfd_perception.groundtruth.session_index import COLUMNS


def section(title: str) -> str:
    text = (Path(__file__).resolve().parent.parent / "docs" / "formats.md").read_text("utf-8")
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("title", "keys"),
    [
        ("Session", {field.name for field in fields(SessionDescription)} | set(COLUMNS)),
        ("Dataset folder", {field.name for field in fields(DatasetDescription)}),
        ("Lens", {field.name for field in fields(LensDescription)}),
        ("Model folder", {field.name for field in fields(ModelCard)}),
        ("Report", set(schema()["properties"])),
    ],
)
def test_every_key_is_described(title: str, keys: set[str]) -> None:
    described = section(title)
    assert not {key for key in keys if f"`{key}`" not in described}
