# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The runtimes that can run a network, each in one file, behind one protocol."""
