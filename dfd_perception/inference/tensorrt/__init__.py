# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""ONNX to TensorRT engines that are checked before they are trusted, kept by content, and run without surprises."""
