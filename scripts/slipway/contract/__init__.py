"""The contract of a model: its input and output tensors, and samples of the inputs. All later steps use them."""
