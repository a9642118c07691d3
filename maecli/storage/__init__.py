"""What lies on a person's disk: files that are whole or not there, and documents that are read within bounds."""
