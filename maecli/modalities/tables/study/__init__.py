"""What the rows of a table show together: types, what is missing with what, outliers, columns that give others away."""
