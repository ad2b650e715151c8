"""Parts of releases without files: with an index and an expected answer that a test gives."""

from pathlib import Path

from slipway.deploy.release import Part, Release


def part(index, expected=None, number=1, model="m", target="cpu"):
    """Return a stored part with this content of its index."""
    made = Part(
        model, target, Path("repository/m_trt"), Path("index.json"), Path("reference_outputs.npz"), number=number
    )
    vars(made).update(index_content=index, index_sha256="a" * 64, expected=expected)
    return made


def release(*parts):
    """Return a release of parts for the local server."""
    return Release("local", parts)
