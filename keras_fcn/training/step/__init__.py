"""One training step: loss, gradients, update."""
