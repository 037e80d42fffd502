# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Losses and metrics against their formulas, written out pixel by pixel in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dfd_perception.losses.defocus import coc_nll
from dfd_perception.losses.image import ssim_loss
from dfd_perception.losses.regularisers import (
    depth_loss,
    eigen,
    godard_modified,
    gradient_matching,
    l1_depth,
    ummenhofer,
    xian,
)
from dfd_perception.metrics.depth import DepthAccumulator

SIZE = (13, 17)


@pytest.fixture
def pair():
    rng = np.random.default_rng(3)
    target = rng.uniform(0.5, 4.0, SIZE)
    target[rng.random(SIZE) < 0.15] = np.nan
    return rng.uniform(0.4, 5.0, SIZE), target


def batch(values):
    return torch.from_numpy(values[None, None].astype(np.float64))


def steps(values, valid, axis):
    """Forward differences whose two ends are both valid."""
    found = []
    rows, columns = values.shape
    for y in range(rows):
        for x in range(columns):
            y2, x2 = (y, x + 1) if axis == 1 else (y + 1, x)
            if y2 < rows and x2 < columns and valid[y, x] and valid[y2, x2]:
                found.append((values[y2, x2] - values[y, x], (y, x), (y2, x2)))
    return found


def mean_step(values, valid, axis, power=1):
    return float(np.mean([abs(step) ** power for step, _, _ in steps(values, valid, axis)]))


def test_equations_3_1_to_3_3(pair):
    p, t = pair
    valid = np.isfinite(t)
    l1 = float(np.mean([abs(a - b) for a, b in zip(p[valid], t[valid], strict=True)]))
    gradient = mean_step(p - t, valid, 1) + mean_step(p - t, valid, 0)
    assert float(l1_depth(batch(p), batch(t))) == pytest.approx(l1, rel=1e-6)
    assert float(gradient_matching(batch(p), batch(t))) == pytest.approx(gradient, rel=1e-6)
    assert float(depth_loss(batch(p), batch(t), 0.25)) == pytest.approx(l1 + 0.25 * gradient, rel=1e-6)


def test_regularisers_of_table_2_1(pair):
    p, t = pair
    valid = np.isfinite(t)
    l1 = float(np.mean(np.abs(p - t)[valid]))
    logs = np.log(p) - np.log(np.where(valid, t, 1))
    expected = mean_step(logs, valid, 1, 2) + mean_step(logs, valid, 0, 2)
    assert float(eigen(batch(p), batch(t))) == pytest.approx(expected, rel=1e-5)

    total = 0.0
    for level in range(4):
        s = 2**level
        if min(t.shape) <= s:
            break
        a, b = p[::s, ::s], t[::s, ::s]
        for axis in (0, 1):
            found = steps(a - b, np.isfinite(b), axis)
            total += float(np.mean([abs(step) for step, _, _ in found])) if found else 0.0
    assert float(xian(batch(p), batch(t))) - total == pytest.approx(float(xian(batch(t), batch(t))), abs=1e-5)

    relative = p / (p[valid].mean() + 1e-7)
    expected = 0.0
    for axis in (1, 0):
        found = steps(relative, valid, axis)
        expected += float(np.mean([abs(step) * math.exp(-abs(t[b] - t[a])) for step, a, b in found]))
    assert float(godard_modified(batch(p), batch(t))) == pytest.approx(expected, rel=1e-5)

    def relative_step(f, y, x, y2, x2):
        return (f[y2, x2] - f[y, x]) / (abs(f[y2, x2]) + abs(f[y, x]))

    total = 0.0
    for h in (1, 2, 4, 8, 16):
        if h >= min(SIZE):
            break
        lengths = []
        for y in range(SIZE[0] - h):
            for x in range(SIZE[1] - h):
                if valid[y, x] and valid[y, x + h] and valid[y + h, x]:
                    g = [relative_step(1 / f, y, x, *o) for f in (p, t) for o in ((y, x + h), (y + h, x))]
                    lengths.append(math.hypot(g[0] - g[2], g[1] - g[3]))
        total += float(np.mean(lengths))
    found = float(ummenhofer(batch(p), batch(t))) - float(ummenhofer(batch(t), batch(t)))
    assert found == pytest.approx(total, rel=1e-3)
    assert l1 > 0


def test_likelihood_of_a_laplace_density():
    rng = np.random.default_rng(0)
    coc, log_var, target = rng.uniform(0, 9, SIZE), rng.normal(size=SIZE), rng.uniform(0, 9, SIZE)
    scale = np.exp(0.5 * log_var) / math.sqrt(2)
    expected = float(np.mean(np.abs(coc - target) / scale + np.log(2 * scale)))
    assert float(coc_nll(batch(coc), batch(log_var), batch(target))) == pytest.approx(expected, rel=1e-6)


def test_ssim_by_its_definition():
    rng = np.random.default_rng(0)
    x, y = rng.random((15, 14)), rng.random((15, 14))
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for row in range(5):
        for column in range(4):
            a, b = x[row : row + 11, column : column + 11], y[row : row + 11, column : column + 11]
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
            cov = (window * (a - ma) * (b - mb)).sum()
            c1, c2 = 0.01**2, 0.03**2
            values.append((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    assert float(ssim_loss(batch(x), batch(y))) == pytest.approx(1 - float(np.mean(values)), rel=1e-5)


def test_depth_metrics_by_their_formulas(pair):
    p, t = pair
    p[2, 3] = np.nan
    p[4, 4] = -1
    accumulator = DepthAccumulator(with_edges=False)
    found = accumulator.update(p, t)
    both = np.isfinite(t) & np.isfinite(p) & (p > 0)
    a, b = p[both], t[both]
    n = len(a)
    ratio = [max(x / y, y / x) for x, y in zip(a, b, strict=True)]
    expected = {
        "rmse_m": math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / n),
        "abs_rel": sum(abs(x - y) / y for x, y in zip(a, b, strict=True)) / n,
        "sq_rel": sum((x - y) ** 2 / y for x, y in zip(a, b, strict=True)) / n,
        "rmse_log": math.sqrt(sum((math.log(x) - math.log(y)) ** 2 for x, y in zip(a, b, strict=True)) / n),
        "log10": sum(abs(math.log10(x) - math.log10(y)) for x, y in zip(a, b, strict=True)) / n,
        "mae_m": sum(abs(x - y) for x, y in zip(a, b, strict=True)) / n,
        **{f"delta{k}": sum(r < 1.25**k for r in ratio) / n for k in (1, 2, 3)},
        "coverage": n / np.isfinite(t).sum(),
    }
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-9), name
