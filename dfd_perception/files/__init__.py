"""Reading and writing on disk: images, YAML, lens files, model folders."""
