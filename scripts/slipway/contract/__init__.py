"""The contract of a model: the tensors that it takes and gives, and samples of them. Every later step reads it."""
