"""What the formats of annotations share: files, splits, classes, and the way from shapes to pairs."""
