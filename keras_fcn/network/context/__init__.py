"""Scores of more of the image than a position sees, added to those of P5: one file for each kind of context."""
