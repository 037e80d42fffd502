# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Reading and writing on disk: images, YAML, lens files, model folders."""
