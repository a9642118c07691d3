"""Where each setting of a run comes from."""
