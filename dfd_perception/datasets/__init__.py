"""Data sets of defocused images, published and your own: numpy and OpenCV, no torch, no ROS."""
