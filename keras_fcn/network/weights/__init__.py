"""Loading weight files of other programs, and the mapping of their tensors to our weights."""
