"""Pairs of one scene at two apertures: alignment, reference blur, and what the meter reads. Needs no depth sensor."""
