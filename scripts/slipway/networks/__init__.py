"""The user's network in PyTorch: how it is made, how it answers, and what its failures mean."""
