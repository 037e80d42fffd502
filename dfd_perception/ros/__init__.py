# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The ROS 2 rim: nodes, message conversions, parameters. The only place that imports rclpy and messages."""
