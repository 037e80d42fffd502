# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The blur chart: plain planes of known blur, contrast and noise, and how near a meter comes to what is possible."""
