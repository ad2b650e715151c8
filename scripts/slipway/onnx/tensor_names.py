"""The names of the tensors in every ONNX file and engine, by which clients of a served model address them too."""

INPUT, OUTPUT = "input", "logits"
