"""Training scenes that are drawn, not downloaded."""
