"""The configuration, and the keys of the artifacts that it defines."""
