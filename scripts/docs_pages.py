# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Pages of the documentation that are made from the code, and those that lie outside docs/ (a hook of mkdocs.yml).

The command line comes from argparse, the parameters from their declarations, the topics from the node's table, the
report from its schema: a page cannot say something else than the code. A link to a file that is no page becomes its
name.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import posixpath
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {
    "README.md": "index.md",
    "models/README.md": "models.md",
    "benchmarks/README.md": "benchmarks.md",
    "demo/README.md": "demo.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""Files of the repository that are pages, and their names in the site."""

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
HELP_COLUMNS = "100"
PACKAGE = "dfd_perception"
PUBLIC = ("meter", "core.lens", "core.optics", "core.prediction", "core.camera", "inference.estimator",
          "files.model_folder", "files.lens_file", "network", "bags.reader", "bags.writer", "errors")  # fmt: skip
"""Modules that programs are meant to use."""

PARAMETERS = """
An unknown name, or a value outside its range, stops `configure` with a line that names it; the process stays up.
*Live* parameters take effect while the node runs (`ros2 param set`), the others when it is configured, and those marked
*at start* only when it starts.
"""

TOPICS_TEXT = """# Topics

What each topic holds, with units, is in the table of [the start page](../index.md). All names are relative: they go
into the namespace of the node and can be remapped. Outputs are reliable by default, which every subscriber accepts
(`qos.output`). A topic is computed only while somebody subscribes to it.

## Outputs of dfd_node

| topic | type | heads of the network that it needs | needs the lens |
| --- | --- | --- | --- |
ROWS
| `/diagnostics` | `diagnostic_msgs/msg/DiagnosticArray` | none | |

A topic that needs the lens is silent without it, for models that measure blur (`target: coc`).

## Inputs of dfd_node

`image` (`sensor_msgs/msg/Image`), or `image/compressed` (`sensor_msgs/msg/CompressedImage`) with `input.transport:
compressed`; `camera_info` (`sensor_msgs/msg/CameraInfo`).
"""

RECIPE = """
A recipe is a YAML file with these keys; the sections are the classes below. Any key can be given on the command line as
well: `dfd train finetune optimiser.learning_rate=1e-4`. Recipes that come with the package: `config/train/`.
"""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put pages of docs/ that the contents leave out after the other guides."""
    named = set(re.findall(r"[\w./-]+\.md", json.dumps(config.nav)))
    guides = next(part["Guides"] for part in config.nav or [] if "Guides" in part)
    guides += sorted(path.name for path in (ROOT / "docs").glob("*.md") if path.name not in named)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for source, name in OUTSIDE.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text("utf-8")))
    for page in (cli_page, parameters_page, topics_page, report_page, api_page, recipe_page):
        name = page.__name__.removesuffix("_page")
        files.append(File.generated(config, f"reference/{name}.md", content=page()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links of the site."""
    origins = {name: source for source, name in OUTSIDE.items()}
    origin = origins.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def relinked(match: re.Match[str]) -> str:
        image, text, target = match.groups()
        if re.match(r"[a-z]+:|#|/", target):
            return match[0]
        path, _, anchor = target.partition("#")
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
        inside = OUTSIDE.get(wanted, wanted.removeprefix("docs/") if wanted.startswith("docs/") else None)
        if inside is None or files.get_file_from_path(inside) is None:
            if not (ROOT / wanted).exists():
                return match[0]  # a dead link: the strict build says so
            return text if text.startswith("`") else f"{text} (`{wanted}`)"
        relative = posixpath.relpath(inside, posixpath.dirname(page.file.src_uri) or ".")
        return f"{image}[{text}]({relative}{'#' + anchor if anchor else ''})"

    return LINK.sub(relinked, markdown)


def cli_page() -> str:
    """`dfd --help` and that of every command."""
    from dfd_perception.cli.__main__ import available_commands, build_parser

    os.environ["COLUMNS"] = HELP_COLUMNS
    parts = ["# Command line", "```text", build_parser([]).format_help().rstrip(), "```"]
    for command in available_commands():
        module = importlib.import_module(command.module)
        parser = argparse.ArgumentParser(
            prog=f"dfd {command.name}",
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(parser)
        parts += [f"## dfd {command.name}", "```text", parser.format_help().rstrip(), "```"]
    return "\n".join(parts)


def parameters_page() -> str:
    """The parameters of both nodes, from their declarations."""
    from dfd_perception.ros.depth_node.dfd_parameters import DfdParameters
    from dfd_perception.ros.recorder_node.recorder_parameters import RecorderParameters

    lines = ["# Parameters", "", PARAMETERS, ""]
    for title, kind in (("dfd_node", DfdParameters), ("ground_truth_recorder", RecorderParameters)):
        lines += [f"## {title}", "", "| parameter | default | range | live | |", "| --- | --- | --- | --- | --- |"]
        lines += [*parameter_rows(kind), ""]
    return "\n".join(lines)


def parameter_rows(kind: type) -> Iterator[str]:
    """A row of Markdown for each parameter of a declaration."""
    for field in dataclasses.fields(kind):
        told = field.metadata["parameter"]
        if told.choices:
            span = ", ".join(f"`{choice}`" for choice in told.choices)
        else:
            low, high = ("" if bound is None else f"{bound:g}" for bound in (told.low, told.high))
            span = f"{low} to {high}" if low and high else f"{low} or more" if low else f"up to {high}" if high else ""
        default = json.dumps(field.default if not dataclasses.is_dataclass(field.default) else None)
        live = "yes" if told.dynamic else "at start" if told.read_only else ""
        yield f"| `{told.name}` | `{default}` | {span} | {live} | {told.description.replace('|', '/')} |"


def topics_page() -> str:
    """The node's topics and services, from its tables."""
    from dfd_perception.ros.depth_node.publishers import METRIC, NEEDS_DEBLURRED_HEAD, NEEDS_DEPTH_HEAD, TOPICS

    rows = []
    for topic, kind in TOPICS.items():
        needs = {"depth": NEEDS_DEPTH_HEAD, "deblurred": NEEDS_DEBLURRED_HEAD}
        heads = ", ".join(head for head, topics in needs.items() if topic in topics) or "none"
        message = f"{kind.__module__.partition('.')[0]}/msg/{kind.__name__}"
        rows.append(f"| `{topic}` | `{message}` | {heads} | {'yes' if topic in METRIC else ''} |")
    return TOPICS_TEXT.replace("ROWS", "\n".join(rows))


def report_page() -> str:
    """The sections of report.json, from its schema."""
    schema = json.loads((ROOT / PACKAGE / "evaluation" / "report" / "report_schema.json").read_text("utf-8"))
    told = "From the schema that every report is checked against. A section without truth is absent."
    lines = ["# report.json", "", told, ""]
    return "\n".join([*lines, *schema_lines(schema, schema, 0)])


def schema_lines(node: dict[str, Any], schema: dict[str, Any], depth: int) -> Iterator[str]:
    """Nested list items for the properties of a JSON schema."""
    required = set(node.get("required", ()))
    for name, part in node.get("properties", {}).items():
        if "$ref" in part:
            part = {**resolved(part["$ref"], schema), **part}
        kind = part.get("type", "")
        kind = " or ".join(kind) if isinstance(kind, list) else kind
        told = f": {part['description']}" if "description" in part else ""
        always = ", always there" if name in required and depth == 0 else ""
        yield f"{'    ' * depth}- `{name}`{f' ({kind}{always})' if kind else ''}{told}"
        if depth < 2:
            inner = part.get("items", part) if kind == "array" else part
            if "$ref" in inner:
                inner = resolved(inner["$ref"], schema)
            yield from schema_lines(inner, schema, depth + 1)


def resolved(reference: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a schema that #/a/b names."""
    part: Any = schema
    for key in reference.removeprefix("#/").split("/"):
        part = part[key]
    return typing.cast("dict[str, Any]", part)


def api_page() -> str:
    """The modules that programs are meant to use."""
    folder = ROOT / PACKAGE
    paths = [folder / name.replace(".", "/") for name in PUBLIC]
    there = [n for n, p in zip(PUBLIC, paths, strict=True) if p.with_suffix(".py").is_file() or p.is_dir()]
    return "\n\n".join(["# Python", *(f"::: {PACKAGE}.{name}" for name in there)])


def recipe_page() -> str:
    """The recipe of `dfd train`, from its dataclasses."""
    modules = ("training.config", "training.config_sections")
    return "\n\n".join(["# Recipe of dfd train", RECIPE, *(f"::: {PACKAGE}.{name}" for name in modules)])
