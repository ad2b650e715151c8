"""Why a precision is not accurate: where its error begins, and the layers to leave out of it."""
