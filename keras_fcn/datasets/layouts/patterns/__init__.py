"""Images and masks wherever they lie, told by a pattern of the images' paths and one of the masks'."""
