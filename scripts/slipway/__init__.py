"""The code that Slipway's programs share. Nothing here imports PyTorch or a runtime until it is needed."""
