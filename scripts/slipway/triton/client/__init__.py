"""Clients of a running Triton server, on this machine or another."""
