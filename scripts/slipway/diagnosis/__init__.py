"""Find why a precision is not accurate: the layers where its error begins, and the layers to leave out."""
