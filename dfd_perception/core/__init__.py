"""Pure optics, geometry and image arithmetic: numpy and OpenCV only; no torch, no ROS, no files."""
