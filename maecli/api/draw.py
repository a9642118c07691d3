"""Drawings as PNG bytes. matplotlib is loaded when the first one is made."""

from maecli.reports.charts import class_bars, curves, predicted_by_true
from maecli.reports.confusion import confusion_matrix
from maecli.reports.grids import contact_sheet, picture_grid
from maecli.reports.overlays import ClassStyle, overlay, overlay_rows

__all__ = [
    "ClassStyle",
    "class_bars",
    "confusion_matrix",
    "contact_sheet",
    "curves",
    "overlay",
    "overlay_rows",
    "picture_grid",
    "predicted_by_true",
]
