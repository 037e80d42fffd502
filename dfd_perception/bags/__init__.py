"""ROS 2 bags without ROS: mcap and sqlite3, compressed, split or cut short, read and written with `rosbags`."""
