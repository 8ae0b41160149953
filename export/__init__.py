"""A trained network leaves Python."""
