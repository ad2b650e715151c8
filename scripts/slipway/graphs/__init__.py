"""ONNX files: what they hold, and how they are brought to another precision."""
