"""Ids and classes as pictures: overlays, panels, charts."""
