# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Pairs of one scene at two apertures: alignment, reference blur, and what the meter reads. Needs no depth sensor."""
