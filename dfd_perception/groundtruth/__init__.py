# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Recording of ground truth: sessions, their clean-up and registration. No ROS."""
