"""Formats for other tools: a file each."""
