"""RGB-D sensors behind one interface."""
