"""Data sets of defocused pictures, published and your own: numpy and OpenCV, no torch, no ROS."""
