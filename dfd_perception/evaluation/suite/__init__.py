"""A suite: one model on several kinds of data, figures per source in one table, and the blur chart."""
