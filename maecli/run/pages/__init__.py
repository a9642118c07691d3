"""What stands on the page of a run, part by part: its first sentences, its sections in their order, its curves."""
