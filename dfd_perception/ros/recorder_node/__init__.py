"""The node that records ground truth."""
