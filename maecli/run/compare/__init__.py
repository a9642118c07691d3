"""A run beside its companions: the same training from random weights, to tell what its weights at the start gave."""
