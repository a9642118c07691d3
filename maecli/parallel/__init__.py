"""Several processes that do one thing: who they are, what they agree on, and what starts them. PyTorch's, all of it."""
