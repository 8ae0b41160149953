"""The HTTP protocols that the server speaks."""
