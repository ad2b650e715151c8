"""PyTorch models: the sources of networks, checkpoints of any origin, and the canonical form of weights."""
