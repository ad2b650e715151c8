"""Files in storage that fsspec knows, such as s3://bucket/best.safetensors: addresses, access, and fetched copies."""
