"""The folder layouts that are read as they are, one module each."""
