# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd view`: a page in the browser that shows images, depth and blur as they come. No ROS in here."""
