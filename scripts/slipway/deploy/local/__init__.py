"""Deployment on this machine: one server, its stored versions, the switch between them without a lost request."""
