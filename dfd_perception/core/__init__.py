"""Pure optics, geometry and picture arithmetic: numpy and OpenCV only; no torch, no ROS, no files."""
