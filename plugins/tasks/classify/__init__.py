"""Classification: the task in `task`, what differs between one label per sample in `one` and several in `several`."""
