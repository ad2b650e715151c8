"""The meaning of a model's outputs: state it, check answers by it, show answers."""
