"""Reading images of any number of channels, which Pillow reads in part or not at all."""
