"""ONNX files: their content, and their conversion to another precision."""
