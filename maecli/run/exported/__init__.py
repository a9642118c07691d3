"""A run as a file of another format: what goes into it, and how it takes the place of the run again."""
