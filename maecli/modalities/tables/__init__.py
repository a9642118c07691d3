"""Tables: rows of numbers, read from CSV and `.npy`, drawn as strips of cells."""
