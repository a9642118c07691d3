"""Filling in what is missing in rows: the task in `task`, its module, its errors, and what it is compared with."""
