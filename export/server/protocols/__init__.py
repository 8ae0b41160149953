"""The HTTP protocols of the server."""
