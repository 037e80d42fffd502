"""What the nodes and tools share."""
