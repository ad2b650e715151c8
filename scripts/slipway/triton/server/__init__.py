"""A tritonserver on this machine: which one, what may use it, and how it runs."""
