"""`dfd view`: a page in the browser that shows images, depth and blur as they come. No ROS in here."""
