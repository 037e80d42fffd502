"""Calibration of lenses: gain, focus distance and blur floor from the readings of a blur meter at known distances."""
