"""Classes by name: read from files and tables of labels, and matched between a run and other data."""
