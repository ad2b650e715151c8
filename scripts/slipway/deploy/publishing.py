"""Publishing a release's model repositories for its platform, or stating where somebody else has to put them."""

from dataclasses import dataclass
from pathlib import Path

from slipway.core.cli import progress
from slipway.core.errors import amended
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.release import HERE, Part, Release
from slipway.deploy.release_store import versions_in_use
from slipway.triton.repository.versions import read_index


@dataclass(frozen=True)
class Publisher:
    """Copies repositories below `to`, a folder or storage that the cluster reads. Without `to` nothing is copied.

    `results` is the model's folder. With `signed`, the signature is published too. With `public_key`, each repository
    needs a signature that this key verifies.
    """

    results: Path
    to: str | None = None
    keep: int = 3
    signed: bool = False
    public_key: Path | None = None

    def publish(self, release: Release) -> dict[str, dict]:
        """Publish the repository of each target; return {target: record of the publication}.

        A record's "published" says whether Slipway copied the repository. Raises SlipwayError if a repository is
        incomplete, or if its copy fails.
        """
        for part in release.parts:
            self._require_whole(part)
        if PLATFORMS[release.to].on_this_machine:
            return {part.target: {"published": False, "why": HERE} for part in release.parts}
        if self.to is None:
            return {part.target: _not_by_slipway(part) for part in release.parts}
        return {part.target: self._publish(release.model, part) for part in release.parts}

    def _publish(self, model: str, part: Part) -> dict:
        from slipway.triton.repository.publishing import destination_of, publish

        destination = destination_of(self.to, part.values["claim_path"], model, part.target)
        protected, signature = versions_in_use(self.results, part.target), part.signature if self.signed else None
        published = publish(part.repository.parent, part.index, destination, self.keep, protected, signature=signature)
        done = "published to" if published["copied"] else "is in"
        progress(f"  {model}: {published['version']} {done} {published['destination']}")
        return {"published": True, "signed": self.signed, **published}

    def _require_whole(self, part: Part) -> None:
        """Raise SlipwayError unless a repository matches its index and, with a public key, its signature."""
        with amended(after=". Nothing was changed."):
            read_index(part.repository.parent, part.index)
            if self.public_key:
                from slipway.triton.repository.signing import verify_repository

                verify_repository(part.repository.parent, self.public_key, part.signature)


def _not_by_slipway(part: Part) -> dict:
    where = f"{part.values['repository_path']} in the claim {part.values['claim']}"
    progress(f"  {part.target}: `deploy.publish.to` is not set; the repository has to lie at {where} already")
    return {"published": False, "why": f"not published by Slipway; it has to lie at {where}"}
