"""Regression: the task in `task`, what is measured of it in `errors`, and how sure that is in `intervals`."""
