"""Measuring a model on bags, sessions and data sets: one row a frame, one report, in memory that does not grow."""
