"""Calibration of the robot camera and the depth camera beside it, from pictures of a board."""
