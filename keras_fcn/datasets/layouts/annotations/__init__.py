"""Annotations of polygons and run lengths, in the files of the tools that draw them, as pairs of images and masks."""
