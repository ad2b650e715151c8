"""The contract of a model: names, dtypes and shapes of its inputs and outputs. Also samples: real inputs of a model."""
