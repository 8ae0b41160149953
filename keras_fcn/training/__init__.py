"""A network trained on pairs of image and mask."""
