# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A report in a few lines for the terminal."""

from __future__ import annotations

from typing import Any

from dfd_perception.errors import counted
from dfd_perception.evaluation.report.meter_sections import floor_origin
from dfd_perception.evaluation.sources.frame import lens_words


def summary_text(report: dict[str, Any]) -> str:
    """Headline figures, pooled; the mean of images beside them in brackets."""
    frames = report["frames"]
    lines = [
        f"{report['model']['name']}: {counted(frames, 'frame')}, {report['answered']} answered; "
        "figures over all pixels, in brackets the mean of the images"
    ]
    depth = report.get("depth")
    if "lens" in report and report["model"]["target"] == "coc":
        lines.append(f"  lens        {lens_words(report['lens'])}")
    if depth:
        names = [("abs_rel", "AbsRel"), ("rmse_m", "RMSE [m]"), ("delta1", "delta1"), ("coverage", "coverage")]
        lines.append("  depth       " + _figures(depth, *names))
    if report.get("deblurred"):
        d = report["deblurred"]
        lines.append("  deblurred   " + _figures(d, ("psnr_db", "PSNR [dB]"), ("ssim", "SSIM")))
        lines.append("  defocused   " + _figures(d, ("input_psnr_db", "PSNR [dB]"), ("input_ssim", "SSIM")))
    if report.get("defocus"):
        lines.append("  defocus     " + _figures(report["defocus"], ("mae", "MAE [px]"), ("mse", "MSE [px^2]")))
    lines += _meter_lines(report)
    for name, figures in report.get("baselines", {}).items():
        if figures.get("depth"):
            names = [("abs_rel", "AbsRel"), ("rmse_m", "RMSE [m]"), ("delta1", "delta1")]
            lines.append(f"  {name:<11} " + _figures(figures["depth"], *names))
    total = report["timing"]["stages"].get("total")
    if total:
        lines.append(f"  latency     {total['p50_ms']:.1f} ms median, {total['p95_ms']:.1f} ms at 95 %")
    live = report["timing"].get("live")
    if live:
        lines.append(f"  live        {live['sent']} sent, {report['answered']} answered, {live['dropped']} dropped")
    return "\n".join(lines)


def _meter_lines(report: dict[str, Any]) -> list[str]:
    """What is said of the blur meter itself, and the blur floor of each source."""
    lines = []
    blur = report.get("blur_map")
    if blur:
        lines.append(
            f"  blur map    borders {_number(blur['border_gradient'])} of the true gradient, pattern "
            f"{_number(blur['plaid_px'])} px, rank correlation of std and error "
            f"{_number(blur['std_rank_correlation'])} "
            f"({_number(blur['std_rank_correlation_by_depth'])} within depth bins)"
        )
    pairs = report.get("aperture_pairs")
    if pairs:
        bins = ", ".join(f"{row['true_px']:.1f} px: {row['response']:.2f}" for row in pairs["response"])
        lines.append(
            f"  pairs       MAE {_number(pairs['mae_px'])} px in {counted(pairs['windows'], 'window')} of "
            f"{counted(pairs['pairs'], 'pair')}; reading over true total blur {bins}"
        )
        if pairs.get("against_depth"):
            lines.append(f"              {against_depth_text(pairs['against_depth'])}")
    for source in report["data"]["sources"]:
        floor = source.get("blur_floor")
        if floor:
            lines.append(
                f"  floor       {source['unit']}: {floor['blur_floor_px']:.2f} px, by {floor_origin(floor)}"
                + (", each scored with the other half's" if floor["frames"] else "")
            )
    return lines


def _figures(section: dict[str, Any], *names: tuple[str, str]) -> str:
    figures = []
    for key, label in names:
        value, mean = section[key], section["mean_of_images"][key]
        figures.append(f"{label} {_number(value)} ({_number(mean)})")
    return ", ".join(figures)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def response_text(row: dict[str, Any], beside: str = "") -> str:
    """One bin of a response; `beside` follows its error."""
    return f"{row['true_px']:.1f} px: {row['response']:.2f} (MAE {row['mae_px']:.2f}{beside})"


def against_depth_text(against: dict[str, Any]) -> str:
    """The reading against what lens and true depth say, on one line."""
    bins = "  ".join(response_text(row) for row in against["response"])
    return (
        f"against lens and true depth: MAE {against['mae_px']:.2f} px in {counted(against['windows'], 'window')} "
        f"(the disk {against['disk_mae_px']:.2f} px)  {bins}"
    )
