"""The tables of the thesis."""
