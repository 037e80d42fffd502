# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from dfd_perception.training import progress
from dfd_perception.training.progress import StepMeans


def test_means_and_rate_begin_anew_after_a_reset(monkeypatch):
    clock = iter([10.0, 12.0, 14.0, 15.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    interval = StepMeans(images_per_step=8)
    interval.add({"loss": 3.0})
    interval.add({"loss": 1.0, "depth": 4.0})
    assert interval.means() == {"loss": 2.0, "depth": 2.0}
    assert interval.images_per_s == pytest.approx(16 / 4)
    interval.reset()
    interval.add({"loss": 5.0})
    assert interval.means() == {"loss": 5.0}
    assert interval.images_per_s == pytest.approx(8 / 1)
