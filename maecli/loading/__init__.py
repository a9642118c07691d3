"""How samples reach the device: resident in its memory, or streamed by worker processes."""
