"""Sign model repositories and verify their signatures, so that a server runs only files that the key's holder signed.

The package model-signing makes and verifies signatures with elliptic-curve keys in PEM files. A signature is a Sigstore
bundle with the SHA-256 of every file. The command `model_signing verify key` can verify it, too.
"""

import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from model_signing import hashing, signing, verifying

from slipway.core.artifacts import atomic_write
from slipway.core.errors import SlipwayError
from slipway.snakemake_hooks.layout import TIME_STAMP
from slipway.triton.repository.signing_keys import require_private_key, require_public_key
from slipway.triton.repository.versions import remove_bytecode


def sign(folder: Path, private_key: Path, signature: Path) -> None:
    """Write a signature of every file below `folder` to the file `signature`.

    The environment variable SLIPWAY_SIGNING_PASSWORD has the password of an encrypted key. Raises SlipwayError if the
    key is unusable, or if the folder has a file that cannot be signed.
    """
    _, password = require_private_key(private_key)
    # model-signing passes the password to cryptography, which accepts only bytes. The annotation of the type is wrong.
    signer = signing.Config().use_elliptic_key_signer(private_key=private_key, password=password)  # type: ignore[arg-type]
    with atomic_write(signature) as partial:
        try:
            signer.set_hashing_config(_hashing(folder)).sign(folder, partial)
        except (OSError, ValueError) as error:
            raise SlipwayError(f"{folder} cannot be signed: {error}; nothing was written") from error


def verify(folder: Path, public_key: Path, signature: Path) -> None:
    """Raise SlipwayError unless `signature` is valid for `public_key` and names exactly the files below `folder`."""
    require_public_key(public_key)
    if not signature.is_file():
        raise SlipwayError(
            f"{folder} is not signed: {signature} does not exist. Sign it where the private key is "
            "(`deploy.signing.private_key`), or bring the signature along"
        )
    verifier = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    try:
        verifier.set_hashing_config(_hashing(folder)).verify(folder, signature)
    except InvalidSignature:
        raise SlipwayError(
            f"{signature} was not made with the key of {public_key}, or was edited; sign again, or correct "
            "`deploy.signing.public_key`"
        ) from None
    except Exception as error:
        raise SlipwayError(_why_not(str(error), folder, public_key, signature)) from error


def verify_repository(folder: Path, public_key: Path, signature: Path) -> None:
    """Raise SlipwayError unless `signature` is valid for exactly the files of the repository in `folder`.

    Before this check, Python's compiled files (__pycache__) are removed: Python would run them in place of the verified
    files.
    """
    remove_bytecode(folder)
    verify(folder, public_key, signature)


def _hashing(folder: Path) -> hashing.Config:
    """Return model-signing's hashing configuration: all files below `folder` except Snakemake's own marker files."""
    stamps = [path.relative_to(folder) for path in folder.rglob(TIME_STAMP)]
    return hashing.Config().set_ignored_paths(paths=stamps, ignore_git_paths=False)


def _why_not(message: str, folder: Path, public_key: Path, signature: Path) -> str:
    """Return a sentence that says why a signature is not valid, from model-signing's error `message`.

    It names the files that were edited, are missing, or were never signed.
    """
    if "Key mismatch" in message:
        return f"{signature} was made with another key than that of {public_key}"
    if "Signature mismatch" not in message:
        first = (message.splitlines() or ["no reason given"])[0]
        return f"{signature} cannot be checked against {folder} ({first}); sign the repository again"
    kinds = {"edited": r"Hash mismatch for '([^']*)'", "missing": r"Missing files in model '[^']*': ([^\"]*)"}
    kinds["never signed"] = r"Extra files found in model '[^']*': ([^\"]*)"
    names_by_kind = {kind: ", ".join(re.findall(pattern, message)) for kind, pattern in kinds.items()}
    changes = "; ".join(f"{kind}: {names}" for kind, names in names_by_kind.items() if names) or message
    return f"{folder} is not what was signed as {signature} ({changes})"
