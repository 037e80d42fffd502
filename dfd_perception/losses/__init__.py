"""Losses of the thesis and their differentiable simulators: torch only. Invalid depth is NaN and never counts."""
