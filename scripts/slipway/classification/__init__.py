"""The classification task: photographs in, scores of classes out, with labels, accuracy and clients."""
