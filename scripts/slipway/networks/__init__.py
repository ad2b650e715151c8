"""The user's network in PyTorch: how it is built, its outputs, and explanations of its failures."""
