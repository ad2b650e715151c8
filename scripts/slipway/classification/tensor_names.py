"""The names of a photograph classifier's input and output. Clients of a served classifier use the same names."""

INPUT, OUTPUT = "input", "logits"
