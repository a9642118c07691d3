"""One module per verb: from a spec to objects to a run directory."""
