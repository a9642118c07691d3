"""Anyone's table, a row a sample: the data set in `dataset`, what is told of it, and California's districts."""
