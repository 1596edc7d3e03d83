"""Models in memory, as a training has them."""
