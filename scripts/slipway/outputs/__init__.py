"""The meaning of a model's outputs: find it, state it, show answers. Only `finding` needs PyTorch."""
