"""From pairs of image and mask to batches of tensors."""
