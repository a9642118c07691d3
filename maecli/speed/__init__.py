"""How fast a trained model answers in each form that it can take: PyTorch, compiled, exported files.

Each form lives in a process of its own, as its users get it, and they take turns.
"""
