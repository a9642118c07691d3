"""What the volumes of a data set show together, for `mae eda`."""
