"""Pictures: decoded, brought to a size, changed at random, with their masks."""
