"""The training loop and its parts: what is learnt, at which steps, by whom, and until when."""
