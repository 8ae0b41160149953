"""Exporting trained networks, and serving them."""
