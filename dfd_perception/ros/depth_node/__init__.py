"""The node that turns images into depth."""
