# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Calibration of the rig: the robot camera and the depth sensor beside it."""
