"""Tiny ImageNet for `mae`: the data set in `dataset`, its recipe in `tiny-imagenet.yaml`."""
