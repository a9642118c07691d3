"""Masked autoencoding: the task in `task`, its errors and the drawing of its masks."""
