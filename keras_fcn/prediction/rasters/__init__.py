"""Predicting GeoTIFFs window by window, to files that lie on the same place of the map."""
