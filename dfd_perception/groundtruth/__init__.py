"""Recording of ground truth: sessions, their clean-up and registration. No ROS."""
