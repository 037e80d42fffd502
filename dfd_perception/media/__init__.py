# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Where images come from without ROS: files, folders, videos, cameras and network streams; and where videos go."""

import os

# FFmpeg's own lines (AV_LOG_QUIET is -8) would stand between ours on the terminal. OpenCV reads this once, at the first
# video that anybody opens or writes.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
