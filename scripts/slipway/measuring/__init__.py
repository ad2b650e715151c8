"""Measuring: what is timed, on what, and what the figures say beside one another."""
