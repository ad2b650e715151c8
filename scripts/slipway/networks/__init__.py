"""The user's network in PyTorch: its construction, its calls, its outputs, and explanations of its failures."""
