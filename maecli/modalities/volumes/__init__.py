"""Volumes: read from NIfTI and `.npy`, drawn as slices, written to lie on what they were made from."""
