"""What a person types: the options that verbs share, the paths they take, and how a shell completes them."""
