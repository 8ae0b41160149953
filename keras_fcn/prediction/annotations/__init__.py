"""A mask's objects as the annotation files of other programs."""
