"""The objects of a mask and their outlines."""
