"""How a person's folders are laid out: which files are samples, which are their masks, which folders name what."""
