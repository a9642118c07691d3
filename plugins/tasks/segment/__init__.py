"""Segmentation: the task in `task`, its heads, how it reads pictures of any size, and its scores."""
