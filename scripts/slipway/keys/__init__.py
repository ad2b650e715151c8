"""The configuration, and the key of each artifact that follows from it."""
