"""What the header of an image file tells before its pixels are decoded."""
