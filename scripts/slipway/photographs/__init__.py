"""Photographs: find them, label them, turn them into a model's input, and show the answers."""
