"""Repositories as the workflow leaves them, to publish and to sign, and storage that fails when it is told to."""

import uuid

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fsspec.implementations.memory import MemoryFileSystem

from slipway.core.artifacts import sha256, tree_digest, write_json
from slipway.core.errors import SlipwayError
from slipway.triton.repository.publishing import publish
from slipway.triton.repository.storage import Storage
from slipway.triton.repository.versions import version_of


class Repository:
    """A repository with its index, results/m/cpu/repository and repository.json, of an engine that is some text."""

    def __init__(self, folder, engine, origin="checkpoint"):
        self.folder, self.index = folder / "repository", folder / "repository.json"
        self.model = self.folder / "m_trt"
        (self.model / "1").mkdir(parents=True)
        (self.model / "configs").mkdir()
        (self.model / ".snakemake_timestamp").touch()
        for name in ("config.pbtxt", "configs/python.pbtxt", "labels.txt"):
            (self.model / name).write_text(name)
        self.engine = self.model / "1" / "model.plan"
        self.engine.write_text(engine)
        write_json(self.index, {"origin": origin, "name": "m_trt", "files": tree_digest(self.model)})

    @property
    def version(self):
        """Return the name of this version."""
        return version_of(sha256(self.index))

    def publish(self, destination, keep=9, **options):
        """Publish it."""
        return publish(self.folder, self.index, destination, keep, **options)


def addresses(folder):
    """Return an empty place of each kind: a folder, the same as an address, an object store."""
    mounted = folder / "claim"
    mounted.mkdir()
    return {"folder": str(mounted), "file": f"file://{mounted}", "memory": f"memory://{uuid.uuid4().hex}/slipway"}


def published(destination):
    """Return {version: all of its files, index and signature too, with their content}, of those with an index."""
    storage = Storage(destination)
    versions = [name.removesuffix(".json") for name in storage.entries() if name.endswith(".json")]
    names = {each: {f"{each}.json", f"{each}.sig", *storage.files(each)} for each in versions}
    return {each: {name: storage.read(name) for name in names[each]} for each in versions}


def refused(repository, destination, **options):
    """Return why a repository was not published."""
    with pytest.raises(SlipwayError) as caught:
        repository.publish(destination, **options)
    assert "The versions that were published before are as they were" in str(caught.value)
    return str(caught.value)


class Failing:
    """Makes the object store in memory fail at its n-th write, counted from 1; `writes` says how many there were."""

    def __init__(self, monkeypatch, error, at=None):
        self.writes, self._error, self._at = 0, error, at
        for name in ("put_file", "pipe_file"):
            real = getattr(MemoryFileSystem, name)
            monkeypatch.setattr(MemoryFileSystem, name, self._wrapped(real))

    def _wrapped(self, real):
        def write(system, first, second, **options):
            self.writes += 1
            if self.writes == self._at:
                raise self._error
            return real(system, first, second, **options)

        return write


def key_pair(folder, name="key", curve=None, password=None):
    """Write a new pair of keys; return the files of the private and the public one."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(pem, pkcs8, encryption))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public
