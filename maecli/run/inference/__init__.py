"""What inference knows of the truth of a person's own samples, and the page that it makes of predictions."""
