# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from dfd_perception.evaluation.blur_chart.measure import Plane, Setting, chart_text, measure_chart
from dfd_perception.evaluation.report.meter_sections import blur_chart

SETTINGS = (Setting(pattern="texture", contrast=0.1, noise=0.01), Setting(pattern="edges", contrast=0.3, noise=0.01))


@pytest.mark.parametrize("pattern", ["texture", "edges"])
def test_a_plane_has_the_contrast_that_it_says(pattern):
    plane = Plane(pattern=pattern, coc_px=0, contrast=0.1, noise=0.0, seed=3)
    grey = plane.image_rgb(512)[..., 1] / 255.0

    spread = grey.std() if pattern == "texture" else np.subtract(*np.percentile(grey, (97, 3)))
    assert spread == pytest.approx(0.1, rel=0.25)


def test_the_noise_of_a_plane_is_its_own_in_every_channel():
    image = Plane(pattern="texture", coc_px=5, contrast=0.1, noise=0.02).image_rgb().astype(float) / 255

    assert (image[..., 0] - image[..., 1]).std() == pytest.approx(0.02 * np.sqrt(2), rel=0.05)


def test_blur_takes_fine_texture_away_and_leaves_coarse_one():
    sharp, blurred = (Plane(pattern="texture", coc_px=c, contrast=0.1, noise=0.0).image_rgb() for c in (0, 12))
    power = [np.abs(np.fft.rfft(image[..., 0].astype(float), axis=1)).mean(0) for image in (sharp, blurred)]

    assert power[1][40:].sum() < 0.2 * power[0][40:].sum()
    assert power[1][1:3].sum() == pytest.approx(power[0][1:3].sum(), rel=0.15)


def test_a_meter_that_is_off_by_one_has_an_error_of_one():
    truths = iter([0.0] * 2 + [3.0] * 2 + [20.0] * 2)

    chart = measure_chart(
        lambda image: np.full(image.shape[:2], next(truths) + 1, np.float32), False, SETTINGS[:1], (3.0, 20.0)
    )

    column = chart["columns"][0]
    assert column["sharp_reads_px"] == 1.0
    assert [row["mae_px"] for row in column["rows"]] == pytest.approx([1.0, 1.0])
    assert [band["mae_px"] for band in column["bands"]] == pytest.approx([1.0, 1.0])
    assert "3: 1.00" in chart_text(chart)


def test_total_blur_is_measured_against_the_floor_of_the_chart():
    readings = iter([2.0] * 2 + [np.hypot(3.0, 2.0)] * 2)

    chart = measure_chart(
        lambda image: np.full(image.shape[:2], next(readings), np.float32), True, SETTINGS[1:], (3.0,)
    )

    assert chart["columns"][0]["rows"][0]["mae_px"] == pytest.approx(0.0, abs=1e-6)
    assert "Blur chart" in blur_chart(chart)
