"""Files and log output of a run in training."""
