# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Where the frames of an evaluation come from: bags and data sets."""
