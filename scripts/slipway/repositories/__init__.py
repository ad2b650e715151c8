"""Versions of a model's repository: where they are published, and by whom they are signed."""
