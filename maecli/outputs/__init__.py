"""What verbs write beside runs: folders of predictions, rows, features, lists of what was left out."""
