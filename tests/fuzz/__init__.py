"""Every reader of files beside 1,000 damaged ones; `benchmarks/fuzz.py` gives it as many as one wants."""
