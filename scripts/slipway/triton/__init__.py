"""Triton: clients of a server, a server on this machine, and the model repository that it loads."""
