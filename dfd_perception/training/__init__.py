# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Training by recipe with Lightning Fabric: on a CPU, one GPU, several, or several machines."""
