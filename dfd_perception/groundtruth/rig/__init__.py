"""Calibration of the rig: the robot camera and the depth sensor beside it."""
