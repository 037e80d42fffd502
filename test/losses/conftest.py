# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="losses need PyTorch (requirements/train.txt)")


@pytest.fixture(autouse=True)
def _one_thread():
    """Tensors are tiny here: handing them to more threads takes longer than the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
