# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Running a model: backends behind one protocol, and the estimator that turns images into depth.

No ROS, and no torch unless its backend is asked for.
"""
