# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from dfd_perception.errors import ConfigError
from dfd_perception.losses.total import WeightedTotal


def test_a_given_lambda_is_used() -> None:
    assert float(WeightedTotal(0.1)(torch.tensor(2.0), torch.tensor(3.0))) == pytest.approx(2.3)
    assert float(WeightedTotal(0.0)(torch.tensor(2.0), torch.tensor(3.0))) == pytest.approx(2.0)


def test_balance_is_measured_once_and_then_fixed() -> None:
    total = WeightedTotal()
    assert float(total(torch.tensor(2.0), torch.tensor(4.0))) == pytest.approx(4.0)
    assert total.deblur_weight == pytest.approx(0.5)
    assert float(total(torch.tensor(1.0), torch.tensor(4.0))) == pytest.approx(3.0)


def test_balance_waits_for_a_batch_that_says_something() -> None:
    total = WeightedTotal()
    assert float(total(torch.tensor(0.0), torch.tensor(4.0))) == pytest.approx(4.0)
    assert total.deblur_weight is None
    total(torch.tensor(6.0), torch.tensor(2.0))
    assert total.deblur_weight == pytest.approx(3.0)


def test_gradient_reaches_both_terms_and_not_the_weight() -> None:
    depth, deblurring = torch.tensor(2.0, requires_grad=True), torch.tensor(4.0, requires_grad=True)
    WeightedTotal()(depth, deblurring).backward()
    assert float(depth.grad) == 1.0
    assert float(deblurring.grad) == 0.5


def test_a_resumed_run_keeps_its_lambda() -> None:
    total = WeightedTotal()
    total(torch.tensor(2.0), torch.tensor(4.0))
    resumed = WeightedTotal()
    resumed.load_state_dict(total.state_dict())
    assert float(resumed(torch.tensor(1.0), torch.tensor(4.0))) == pytest.approx(3.0)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_an_impossible_lambda_is_refused(weight: float) -> None:
    with pytest.raises(ConfigError, match="lambda"):
        WeightedTotal(weight)
