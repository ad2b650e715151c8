"""Files in storage that fsspec can read, such as s3://bucket/best.safetensors: addresses, access, fetched copies."""
