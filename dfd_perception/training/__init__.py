"""Training by recipe with Lightning Fabric: on a CPU, one GPU, several, or several machines."""
