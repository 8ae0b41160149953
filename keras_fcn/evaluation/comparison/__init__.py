"""Several models, evaluated on the same images."""
