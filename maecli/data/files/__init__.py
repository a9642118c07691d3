"""Files of samples: found in folders, downloaded, and what among them is not data or was not read."""
