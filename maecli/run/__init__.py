"""A run on the disk, and the ways from a spec and from a checkpoint to what works."""
