# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Measuring a model on bags, sessions and data sets: one row a frame, one report, in memory that does not grow."""
