"""What the verbs print when they are done."""
