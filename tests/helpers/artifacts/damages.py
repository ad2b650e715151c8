"""What may lie where a record of Slipway's should: nothing in it, noise, JSON of another shape, a folder."""

import shutil

# Text, or None for a folder with something in it.
DAMAGES = ["", "{", "{}", "null", "[]", "7", '"text"', "\x00\xff noise", "[" * 9999, None]


def damage(path, content):
    """Put a damage in the place of a record; return its path."""
    shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        (path / "below").mkdir(parents=True)
    else:
        path.write_text(content, encoding="latin-1")
    return path
