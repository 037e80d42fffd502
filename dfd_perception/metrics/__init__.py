# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Measures of depth, deblurring and defocus: numpy and OpenCV only, streaming, masked, in constant memory."""
