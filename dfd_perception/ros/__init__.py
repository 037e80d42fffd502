"""The ROS 2 rim: nodes, message conversions, parameters. The only place that imports rclpy and messages."""
