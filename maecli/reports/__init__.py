"""Metrics and pages that people look at, made from plain results: numbers, arrays, dicts.

`numbers` writes values as text, `metrics` draws PNG pictures, `page` puts both on one HTML page. Importing
this package imports none of them, so that the command line can format a number without loading matplotlib.
"""
