# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Pure optics, geometry and image arithmetic: numpy and OpenCV only; no torch, no ROS, no files."""
