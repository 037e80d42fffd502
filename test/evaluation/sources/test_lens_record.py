# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from dfd_perception.core.optics import DefocusCurve
from dfd_perception.evaluation.sources.frame import LensRecord, lens_of_report, lens_words

CURVE = DefocusCurve(gain_px_per_dioptre=16.5, focus_distance_m=0.6, blur_floor_px=1.2)


def test_the_lens_and_how_it_came_are_said():
    record = LensRecord("the lens that was given", "no lens")
    record.add(CURVE)
    record.add(CURVE)
    described = record.described()
    assert described == {
        "gain_px_per_dioptre": 16.5,
        "focus_distance_m": 0.6,
        "side": "far",
        "blur_floor_px": 1.2,
        "origin": "the lens that was given",
    }
    words = lens_words(lens_of_report([{"lens": described}]))
    assert words.startswith("blur grows 16.50 px per dioptre, focus at 0.6 m, scene on the far side, 1.2 px in focus")
    assert words.endswith("(the lens that was given)")


def test_without_a_lens_the_reason_is_said():
    record = LensRecord("the lens that was given", "no lens was given (--lens)")
    assert record.described() is None
    record.add(None)
    assert lens_words(lens_of_report([{"lens": record.described()}])) == "none: no lens was given (--lens)"
    assert "no frame was read" in lens_words(lens_of_report([{"lens": None}]))


def test_a_lens_that_changes_from_frame_to_frame_has_a_range():
    record = LensRecord("the data set's own", "")
    for gain in (10.0, 20.0, 15.0):
        record.add(DefocusCurve(gain_px_per_dioptre=gain, focus_distance_m=0.6))
    assert record.described()["gain_range_px_per_dioptre"] == pytest.approx([10, 20])


def test_sources_that_differ_are_noted():
    one, other = ({"lens": {"origin": "a", "gain_px_per_dioptre": gain}} for gain in (1.0, 2.0))
    assert "sources differ" in lens_of_report([one, other])["note"]
    assert "note" not in lens_of_report([one, one])
