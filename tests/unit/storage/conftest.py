"""Storage in memory, with one checkpoint."""

import uuid

import fsspec
import pytest

from slipway.storage.local_copies import fetched, planned


class Storage:
    """Files in memory, as an object store has them. `folder` is where their copies go."""

    def __init__(self, folder):
        self.root, self.folder = f"memory://{uuid.uuid4().hex}", folder
        self.address = f"{self.root}/best.pth"

    def put(self, content, name="best.pth"):
        """Upload a file."""
        fsspec.open(f"{self.root}/{name}", "wb").fs.pipe_file(f"{self.root}/{name}", content)

    def plan(self):
        """Return the fingerprint as planning asks for it."""
        return planned(self.address, self.folder).fingerprint

    def fetch(self, fingerprint=None):
        """Return the copy as a job fetches it."""
        return fetched(self.address, fingerprint or self.plan(), self.folder)


@pytest.fixture
def storage(tmp_path):
    """Return storage with one checkpoint."""
    made = Storage(tmp_path / "fetched")
    made.put(b"first")
    return made
