"""The classes of PASCAL VOC, in labels and in masks."""

from __future__ import annotations

from maecli import api

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
MASK_CLASSES = ("background", *CLASSES)
PALETTE = api.pictures.class_palette(len(MASK_CLASSES))
