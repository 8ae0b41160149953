"""What the values of an image's file mean: its channels, and their depth."""
