"""Ground-truth sessions: the clock, pairing by time stamp, the folder on disk, and the pipeline over it."""
