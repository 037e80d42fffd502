# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Tables of the thesis filled with our own figures: a row is measured when its model and its data set are there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dfd_perception.core.image_protocol import ImageProtocol, scale_of, shape_of
from dfd_perception.core.lens import LensDescription
from dfd_perception.core.point_spread import PointSpread
from dfd_perception.datasets.registry import LAYOUTS
from dfd_perception.errors import ConfigError, counted
from dfd_perception.evaluation.plan import EvaluationPlan
from dfd_perception.evaluation.run import begin_anew, evaluate
from dfd_perception.evaluation.scoring.protocol import Protocol, protocol_named
from dfd_perception.evaluation.sources.bag_options import BagOptions
from dfd_perception.evaluation.thesis.thesis_tables import SOURCES, TABLES, TEST_SPLITS, ThesisRow, ThesisTable
from dfd_perception.files.configuration import plain, write_yaml
from dfd_perception.files.lens_file import read_lens
from dfd_perception.files.model_folder import ModelFolder, load_model_folder
from dfd_perception.inference.estimator import EstimatorOptions

CARVALHO = ImageProtocol(
    lens=LensDescription(focal_length_mm=15, f_number=2.8, pixel_pitch_um=5.6, focus_distance_m=2),
    point_spread=PointSpread(exponent=2.0, sigma_per_coc=0.3),
    scale_px=(256, 256),
)
"""The generator that the authors followed; for models whose card does not say how their images were made."""


@dataclass(frozen=True)
class FilledRow:
    """A row of the thesis with ours beside it, or the reason why there is none."""

    label: str
    thesis: dict[str, float]
    key: str | None
    test: str | None
    ours: dict[str, float | None] | None = None
    model: str | None = None
    frames: int = 0
    reason: str | None = None
    protocol: dict[str, Any] | None = None
    """How the images were made that ours was measured on."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FilledTable:
    """A table ready to print."""

    number: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[FilledRow, ...]
    protocol: dict[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TableRequest:
    """What to fill a table with."""

    number: str
    root: Path
    """Folder of the data sets, each in a folder of its own or being the root itself."""
    models: tuple[str, ...] = ()
    """KEY=MODEL, or one MODEL for every row."""
    lens: Path | None = None
    out: Path | None = None
    """Keep each row's report below this folder."""
    estimator: EstimatorOptions = EstimatorOptions()
    protocol: str | None = None
    """Instead of thesis-256."""
    edges: bool = True
    max_frames: int | None = None
    """Only so many frames of each data set."""


def fill_table(request: TableRequest) -> FilledTable:
    """Measure what can be measured.

    Raises:
        ConfigError: a KEY that the table does not have, or no such folder.
        UsageError: of a model or a data set that is there but wrong.
    """
    table = TABLES[request.number]
    if not request.root.is_dir():
        raise ConfigError(f"{request.root}: no such folder; expected the one that holds the data sets")
    models = _models_by_key(request.models, table)
    if table.own_model_each:
        _require_own_models(models)
    protocol = replace(protocol_named(request.protocol or "thesis-256"), edges=request.edges)
    rows = tuple(_filled(row, table, models, request, protocol) for row in table.rows)
    return FilledTable(table.number, table.title, table.columns, rows, protocol.described(), table.notes)


def table_text(table: FilledTable) -> str:
    """The table for the terminal: the thesis' row, and ours below it."""
    names = [column.rpartition(".")[2] for column in table.columns]
    widths = [max(10, len(name)) for name in names]
    label_width = max(len(row.label) for row in table.rows) + 2
    lines = [f"Table {table.number}: {table.title}", ""]
    lines.append(" " * (label_width + 9) + " ".join(f"{n:>{w}}" for n, w in zip(names, widths, strict=True)))
    for row in table.rows:
        lines.append(f"{row.label:<{label_width}}thesis   " + _cells(row.thesis, table.columns, widths))
        if row.ours is not None:
            who = f"ours     {_cells(row.ours, table.columns, widths)}  {row.model}, "
            who += f"{counted(row.frames, 'frame')} of {row.test}"
            lines.append(" " * label_width + who)
            lines += [" " * (label_width + 9) + note for note in row.notes]
        elif row.reason:
            lines.append(" " * label_width + f"ours     {row.reason}")
    lines += ["", f"Protocol of ours: {table.protocol['name']}, {table.protocol['headline']}."]
    return "\n".join([*lines, *(f"* {note}" for note in table.notes)])


def _filled(
    row: ThesisRow, table: ThesisTable, models: dict[str, str], request: TableRequest, protocol: Protocol
) -> FilledRow:
    empty = FilledRow(row.label, row.figures, row.key, row.test)
    if row.key is None or row.test is None:
        return empty
    path = find_dataset(request.root, row.test)
    if path is None:
        where, tree = SOURCES[row.test]
        return replace(empty, reason=f"no {row.test} below {request.root}: get {where}; expected {tree}")
    model = models.get(row.key)
    if model is None:
        alone = " of its own: rows of this table differ in training alone" if table.own_model_each else ""
        return replace(empty, reason=f"no model given{alone}; --model {row.key}=MODEL")
    images, notes = _images_of(row.test, load_model_folder(model), request)
    if request.protocol is None:
        protocol = replace(protocol, resolution=images.scale_px)
    with TemporaryDirectory(prefix="dfd_table_") as scratch:
        plan = _plan(row, table, model, path, request, protocol, images, Path(scratch))
        begin_anew(plan.out)
        report = evaluate(plan)
    ours = {column: _headline(report, column, protocol) for column in table.columns}
    name, frames = report["model"]["name"], report["frames"]
    return replace(empty, ours=ours, model=name, frames=frames, protocol=images.described(), notes=notes)


def _images_of(kind: str, model: ModelFolder, request: TableRequest) -> tuple[ImageProtocol, tuple[str, ...]]:
    """How the images of a row are made, as the model's card says unless the request does; and what differs from it."""
    own = model.card.protocol
    images = own or CARVALHO
    if request.protocol is not None:
        images = replace(images, scale_px=protocol_named(request.protocol).resolution)
    if request.lens is not None and LAYOUTS[kind].sharp:
        images = replace(images, lens=read_lens(request.lens))
    if LAYOUTS[kind].sharp and images.lens is None:
        images = replace(images, lens=CARVALHO.lens)
    if own is None:
        return images, (
            f"* {model.name}: its card does not say how its training images were made; here {_described(images)}",
        )
    differing = images.differences_from(own)
    if differing:
        return images, (f"* {model.name}: not the images that it was trained for: {'; '.join(differing)}",)
    return images, ()


def _described(images: ImageProtocol) -> str:
    return f"{shape_of(images.point_spread)}, {scale_of(images.scale_px)}"


def _require_own_models(models: dict[str, str]) -> None:
    """Take out of the keys those whose model stands for another row too, or for all.

    Raises:
        ModelError: of a model that cannot be read.
    """
    hashes = {key: load_model_folder(model).card.weights.sha256 for key, model in models.items()}
    for key, digest in hashes.items():
        if list(hashes.values()).count(digest) > 1:
            models.pop(key)


def _plan(
    row: ThesisRow,
    table: ThesisTable,
    model: str,
    path: Path,
    request: TableRequest,
    protocol: Protocol,
    images: ImageProtocol,
    scratch: Path,
) -> EvaluationPlan:
    assert row.test is not None
    lens = request.lens
    if LAYOUTS[row.test].sharp and lens is None:
        assert images.lens is not None
        lens = scratch / "lens.yaml"
        write_yaml(lens, plain(images.lens, absent=[None]))
    out = scratch / "out" if request.out is None else request.out / f"table_{table.number}_{row.key}_{row.test}"
    return EvaluationPlan(
        model=model,
        out=out,
        data=path,
        data_kind=row.test,
        split=TEST_SPLITS[row.test],
        lens=lens,
        point_spread=images.point_spread,
        sharp_input=table.sharp_input,
        estimator=request.estimator,
        protocol=protocol,
        bag_options=BagOptions(max_frames=request.max_frames),
    )


def find_dataset(root: Path, kind: str) -> Path | None:
    """The data set of a kind: ROOT/KIND, ROOT itself, or a folder in it that looks like one."""
    candidates = [root / kind, root, *sorted(path for path in root.iterdir() if path.is_dir())]
    return next((path for path in candidates if path.exists() and LAYOUTS[kind].recognised(path)), None)


def _models_by_key(arguments: tuple[str, ...], table: ThesisTable) -> dict[str, str]:
    keys = list(dict.fromkeys(row.key for row in table.rows if row.key is not None))
    models: dict[str, str] = {}
    for text in arguments:
        key, separator, model = text.partition("=")
        if not separator:
            models |= {key: text for key in keys if key not in models}
        elif key in keys:
            models[key] = model
        else:
            known = ", ".join(keys)
            raise ConfigError(f"model {text!r}: table {table.number} has no row {key!r}; its keys are {known}")
    return models


def _headline(report: dict[str, Any], column: str, protocol: Protocol) -> float | None:
    section, _, name = column.partition(".")
    figures = report.get(section)
    if figures is None:
        return None
    return figures[name] if protocol.headline == "pooled" else figures[protocol.headline][name]


def _cells(figures: dict[str, Any], columns: tuple[str, ...], widths: list[int]) -> str:
    texts = []
    for column, width in zip(columns, widths, strict=True):
        value = figures.get(column)
        texts.append(f"{'-' if value is None else format(value, '.4g'):>{width}}")
    return " ".join(texts)
