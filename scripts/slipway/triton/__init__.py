"""Triton: clients of a server, the server on this machine, and the model repository."""
