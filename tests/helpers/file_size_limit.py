"""A limit on the size of files, under which a write fails as on a full disk, but with EFBIG."""

import contextlib
import resource


@contextlib.contextmanager
def no_file_above(size):
    """Let no file that this process writes in the block become larger than `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
