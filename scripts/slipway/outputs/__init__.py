"""What a model's outputs mean, how that is found or stated, and how answers are shown. Only `finding` needs PyTorch."""
