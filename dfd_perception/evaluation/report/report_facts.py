# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Sections of report.html that are words and tables: baselines, model, data, protocol."""

from __future__ import annotations

from html import escape
from typing import Any

from dfd_perception.errors import counted
from dfd_perception.evaluation.report.report_sections import number, section
from dfd_perception.evaluation.sources.frame import lens_words


def baselines(report: dict[str, Any]) -> str:
    """The model beside what it has to beat."""
    baseline_sections = report.get("baselines")
    if not baseline_sections:
        return ""
    names = ("abs_rel", "rmse_m", "mae_m", "delta1", "delta2", "coverage")
    rows = ""
    for name, figures in (("model", report), *baseline_sections.items()):
        depth = figures.get("depth") or {}
        text = escape(report["model"]["name"] if name == "model" else f"{name}: {figures['meaning']}")
        cells = "".join(f"<td>{number(depth.get(key))}</td>" for key in names)
        rows += f"<tr{' class=ours' if name == 'model' else ''}><td>{text}</td>{cells}</tr>"
    head = "".join(
        f"<th>{name}</th>"
        for name in (
            "AbsRel",
            "RMSE [m]",
            "MAE [m]",
            "\N{GREEK SMALL LETTER DELTA}1",
            "\N{GREEK SMALL LETTER DELTA}2",
            "coverage",
        )
    )
    table = (
        f'<div class="card scroll"><table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )
    return section("Against the baselines", "Same frames, same protocol, pooled over all pixels.", table)


def provenance(report: dict[str, Any]) -> str:
    """Model, data and protocol."""
    model, protocol = report["model"], report["protocol"]
    facts = {
        "Model": ", ".join(
            [model["name"], model.get("variant", ""), f"target {model['target']}", f"weights {model['sha256'][:12]}"]
        ),
        "Ran on": ", ".join(str(model[k]) for k in ("backend", "precision", "device", "runtime") if model.get(k)),
        "Lens": lens_words(report["lens"]) if "lens" in report else "",
        "Protocol": _protocol(protocol),
        "Software": ", ".join(f"{name} {version}" for name, version in report["software"].items()),
        "Run": ", ".join(str(v) for v in (report["run"].get("created"), report["run"].get("machine")) if v),
    }
    for source in report["data"]["sources"]:
        facts[f"{source['kind'].capitalize()} {source['unit']}"] = _source(source)
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items() if text)
    lost = [f"{s['unit']}: {line}" for s in report["data"]["sources"] for line in s.get("lost", [])]
    losses = ""
    if lost:
        losses = f'<div class="warn"><h3>Not read</h3>{"".join(f"<p>{escape(line)}</p>" for line in lost)}</div>'
    return section("What was measured, and how", "", f'<div class="card">{losses}<dl>{items}</dl></div>')


def _protocol(protocol: dict[str, Any]) -> str:
    cap = protocol.get("max_depth_m")
    crop = protocol.get("crop")
    size = protocol.get("resolution")
    return (
        f"{protocol['name']}: truth {'up to ' + format(cap, 'g') + ' m' if cap else 'of any distance'}"
        f"{', answers clamped to it' if protocol.get('clamp') else ''}, "
        f"{'crop ' + ' '.join(format(v, '.3f') for v in crop) if crop else 'no crop'}, "
        f"{f'resized to {size[0]} x {size[1]}' if size else 'at the size of the truth'}, "
        f"headline {protocol['headline']}"
    )


def _source(source: dict[str, Any]) -> str:
    text = counted(source["pictures"], "image")
    if source.get("split"):
        text += f", split {source['split']}"
    for topic, counts in source.get("pairing", {}).items():
        alone = counted(counts["pictures_unmatched"], "image")
        text += f"; {topic}: {counted(counts['pairs'], 'pair')}, {alone} without it"
    return text
