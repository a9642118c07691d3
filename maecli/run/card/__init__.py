"""The model card of a run and of what is exported of it: `README.md`, as the Hugging Face hub shows it."""
