# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A suite: one model on several kinds of data, figures per source in one table, and the blur chart."""
