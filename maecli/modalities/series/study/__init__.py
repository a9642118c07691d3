"""What series show as a whole: gaps, seasons, levels, drift between splits, and columns that copy others."""
