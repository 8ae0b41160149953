"""The machine: command lines, files, memory, signals, storage. TensorFlow is imported only inside functions."""
