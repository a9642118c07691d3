"""What samples look like, by kind; each kind brings files to samples and samples to the model."""
