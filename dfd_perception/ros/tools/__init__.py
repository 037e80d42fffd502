"""Programs that play, record, evaluate and demonstrate over ROS."""
