"""The contract of a model: its input and output tensors, and samples of the inputs. Later steps depend on it."""
