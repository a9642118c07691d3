"""Weights from outside: their files, the names of their tensors, and bringing them to the shape that is wanted."""
