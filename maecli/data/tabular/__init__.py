"""People's tables: CSV and Parquet as text in columns, what that text means, and files handed back filled."""
