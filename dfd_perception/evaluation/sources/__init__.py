"""Where the frames of an evaluation come from: bags and data sets."""
