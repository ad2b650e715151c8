"""The contract of a model: its input and output tensors, and samples of them. Every later step reads it."""
