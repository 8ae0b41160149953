"""From a run's data to the batches of its steps: checked pairs, augmented images, cached features."""
