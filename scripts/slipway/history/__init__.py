"""The history of a model: its measured runs and its deployments, one a line of results/<model>/history.jsonl."""
