"""Shapes become masks, as the tools that drew the shapes would have exported them; masks are kept in a cache."""
