"""Files of pictures: how each format is known by its content, opened within bounds, and decoded."""
