# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Data sets of defocused images, published and your own: numpy and OpenCV, no torch, no ROS."""
