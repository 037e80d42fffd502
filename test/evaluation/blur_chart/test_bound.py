# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The bound against the table that it was published with (blur diameter [px] to least std [px])."""

import numpy as np
import pytest

from dfd_perception.evaluation.blur_chart.bound import Priors, edge_bound_px, texture_bound_px

# contrast over noise [dB]: std at 1, 3, 5, 8, 16 and 24 px.
COCS_PX = (1, 3, 5, 8, 16, 24)
TEXTURE = {
    40: (1.9, 0.28, 0.09, 0.06, 0.08, 0.12),
    30: (2.3, 0.30, 0.30, 0.16, 0.21, 0.30),
    20: (2.6, 0.44, 0.43, 0.44, 0.61, 0.85),
}
EDGE_20_DB = (2.7, 0.70, 0.49, 0.45, 0.52, 0.62)


@pytest.mark.parametrize("contrast_db", TEXTURE)
def test_texture(contrast_db):
    found = [texture_bound_px(coc, contrast_db) for coc in COCS_PX]

    # The table does not state all of its priors: single values to a third, the whole to a tenth.
    assert found == pytest.approx(TEXTURE[contrast_db], rel=0.35)
    assert np.mean(np.log(np.divide(found, TEXTURE[contrast_db]))) == pytest.approx(0, abs=0.1)


def test_edge():
    assert [edge_bound_px(coc, 20) for coc in COCS_PX] == pytest.approx(EDGE_20_DB, rel=0.1)


def test_a_calibrated_softness_buys_back_small_blur():
    known = texture_bound_px(1.0, 40, Priors(softness_px=0.03))

    assert known == pytest.approx(0.30, rel=0.25)
    assert known < texture_bound_px(1.0, 40) / 4


def test_more_noise_is_worse_and_a_larger_patch_better():
    assert texture_bound_px(6.0, 20) > texture_bound_px(6.0, 30) > texture_bound_px(6.0, 40)
    assert texture_bound_px(6.0, 20, patch_px=41) < texture_bound_px(6.0, 20)
