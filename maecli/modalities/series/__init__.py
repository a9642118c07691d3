"""Series: channels over time, read from CSV and `.npy`, cut into windows, drawn as lines."""
