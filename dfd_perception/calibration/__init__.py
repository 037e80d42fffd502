# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Calibration of lenses: gain, focus distance and blur floor from the readings of a blur meter at known distances."""
