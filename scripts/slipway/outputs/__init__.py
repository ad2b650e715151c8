"""The meaning of a model's outputs: finding it, stating it, showing answers. Only `finding` needs PyTorch."""
