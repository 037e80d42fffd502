# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""2HDED:NET (S. Nazir et al., IEEE TCI 9, 2023; PhD thesis, chapters 3 and 5): torch only."""

from dfd_perception.network.two_headed import TwoHeadedNet, TwoHeadedOutput, create_network

__all__ = ["TwoHeadedNet", "TwoHeadedOutput", "create_network"]
