"""Pictures in few large files: shards of tar, and Parquet."""
