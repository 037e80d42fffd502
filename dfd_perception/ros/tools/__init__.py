"""Programs that play, record, evaluate, show and demonstrate over ROS."""
