"""The data of a run: what it began with, whether other data are the same, and what was read."""
