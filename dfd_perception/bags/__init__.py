# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""ROS 2 bags without ROS: mcap and sqlite3, compressed, split or cut short, read and written with `rosbags`."""
