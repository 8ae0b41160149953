"""Label files of every kind: PNG, TIFF, BMP, GIF and NumPy's arrays."""
