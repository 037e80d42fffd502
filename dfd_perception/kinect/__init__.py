"""Sources of ground-truth depth: an Azure Kinect, its recordings, and what they have in common with RGB-D topics."""
