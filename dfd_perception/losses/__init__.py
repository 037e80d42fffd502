# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Losses of the thesis and their differentiable simulators: torch only. Invalid depth is NaN and never counts."""
