"""WebDataset for `mae`: the data set in `dataset`, its tar files in `shards`, its recipe in `webdataset.yaml`."""
