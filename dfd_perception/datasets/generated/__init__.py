"""Training images without a download: sharp scenes, procedural or rendered, behind a lens, taken by a camera."""
