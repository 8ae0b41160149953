"""Other programs' weight files, and which weight of ours each of their tensors is."""
