"""Volumes: one's own, and BTCV's abdominal organs."""
