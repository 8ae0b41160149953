"""Images and videos segmented and written to files."""
