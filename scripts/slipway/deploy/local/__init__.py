"""Deployment on this machine: one server, stored versions, and a switch between versions without a lost request."""
