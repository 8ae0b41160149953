"""What the values and colours of masks mean: files of classes, and how all masks of a data set are read."""
