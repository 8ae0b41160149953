"""Image files and arrays, and what the colours of a mask mean."""
