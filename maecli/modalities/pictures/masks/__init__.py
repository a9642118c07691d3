"""Masks of pictures: files of classes, colours or indices, read beside their pictures."""
