"""PyTorch models: their sources, checkpoints of any origin, and the canonical form of weights."""
