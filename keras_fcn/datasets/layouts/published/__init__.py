"""Published data sets, in the folders in which their authors publish them."""
