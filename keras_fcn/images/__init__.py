"""Reading image and label files into arrays, and the table of classes and colours."""
