# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from dfd_perception.training.config_sections import OptimiserConfig
from dfd_perception.training.fabric import chosen_precision, cpu_computes_bf16
from dfd_perception.training.optimisation import learning_rate
from dfd_perception.training.state import AveragedWeights


def test_the_rate_rises_and_falls():
    config = OptimiserConfig(learning_rate=2.0, warmup_steps=10, final_share=0.1)
    assert learning_rate(config, 0, 0.0) == pytest.approx(0.2)
    assert learning_rate(config, 9, 0.0) == pytest.approx(2.0)
    assert learning_rate(config, 500, 0.5) == pytest.approx(2.0 * 0.55)
    assert learning_rate(config, 1000, 1.0) == pytest.approx(0.2)


def test_the_rate_drops_in_steps():
    config = OptimiserConfig(learning_rate=1.0, warmup_steps=0, schedule="step", step_every=5, step_factor=0.5)
    assert [learning_rate(config, step, 0.0) for step in (0, 4, 5, 10)] == [1.0, 1.0, 0.5, 0.25]


def test_averaged_weights_follow():
    network = torch.nn.BatchNorm1d(2)
    averaged = AveragedWeights(network, decay=0.5)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.num_batches_tracked.fill_(7)
    averaged.update(network, step=10_000)
    assert averaged.network.weight.tolist() == [2.0, 2.0]
    assert int(averaged.network.num_batches_tracked) == 7
    early = AveragedWeights(torch.nn.BatchNorm1d(2), decay=0.999)
    early.update(network, step=1)
    assert early.network.weight.tolist() == pytest.approx([1 + 2 * 50 / 51] * 2)


def test_bf16_where_the_processor_has_it(tmp_path):
    (tmp_path / "with").write_text("flags\t\t: fpu avx512f avx512_bf16\n")
    (tmp_path / "without").write_text("flags\t\t: fpu avx512f\nmodel name\t: bf16 maker\n")
    assert cpu_computes_bf16(tmp_path / "with")
    assert not cpu_computes_bf16(tmp_path / "without")
    assert not cpu_computes_bf16(tmp_path / "absent")
    assert chosen_precision("bf16", "cpu") == "bf16-mixed"
    assert chosen_precision("fp32", "cpu") == "32-true"
