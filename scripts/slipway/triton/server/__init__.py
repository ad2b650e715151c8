"""The tritonserver on this machine: its installation, its process, its restricted APIs, its TLS."""
