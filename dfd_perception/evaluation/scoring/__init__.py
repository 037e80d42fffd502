# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From a prediction and its truth to rows and pooled figures."""
