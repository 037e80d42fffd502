# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Training images without a download: sharp scenes, procedural or rendered, behind a lens, taken by a camera."""
