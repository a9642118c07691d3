"""Looks at a data set that change which samples its splits hold, and the keys of these."""
