"""The names of the tensors of a classifier of photographs, by which clients of a served one address them too."""

INPUT, OUTPUT = "input", "logits"
