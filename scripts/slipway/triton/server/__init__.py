"""The tritonserver on this machine: how it is found, started, protected and stopped."""
