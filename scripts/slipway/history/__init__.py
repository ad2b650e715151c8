"""The history of a model: its measured runs and its deployments, one per line of results/<model>/history.jsonl."""
