"""Drawings and pages that people look at, made from plain results: numbers, arrays, dicts.

`numbers` writes values as text, `charts`, `confusion`, `grids` and `overlays` draw PNGs, `page` puts all on one HTML
page. Importing this package imports none of them, so that the command line formats a number without matplotlib.
"""
