"""Find why a precision is not accurate: the layers where its error begins, and the layers to leave out.

A variant is the ONNX file of a precision with fewer bits, made from the FP32 ONNX file. A layer that is left out stays
in a higher precision.
"""
