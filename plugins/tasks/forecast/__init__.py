"""Forecasting: what follows a window of a series, beside what trivial forecasts get."""
