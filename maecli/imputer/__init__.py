"""`maecli.MAEImputer`: missing values of people's own rows, in scikit-learn's conventions.

`given` knows arrays and frames, `features` what their columns are, `learning` trains, `filling` fills, and `imputer` is
what people call.
"""
