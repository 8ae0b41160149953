"""A run's settings and its folder."""
