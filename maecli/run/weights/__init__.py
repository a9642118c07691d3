"""The weights that a run starts from, and what is recorded of them."""
