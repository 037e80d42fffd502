# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Programs that play, record, evaluate, show and demonstrate over ROS."""
