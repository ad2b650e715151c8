"""Deploying a model to other places than this machine's own server: one transaction, whatever the place."""
