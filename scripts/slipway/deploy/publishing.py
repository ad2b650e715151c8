"""Where the repositories of a candidate are served from: published by Slipway, or put there by somebody else."""

from dataclasses import dataclass
from pathlib import Path

from slipway.core.cli import progress
from slipway.deploy.release import Part, Release
from slipway.deploy.release_history import versions_in_use
from slipway.deploy.validation import require_whole

HERE = "served from this machine's disk"


@dataclass(frozen=True)
class Publisher:
    """Puts repositories where a cluster reads them, below `to`, a folder or storage; None copies nothing.

    `results` is the model's folder. Repositories that are `signed` are published with their signature, and only those
    whose signature is of `public_key`, where there is one.
    """

    results: Path
    to: str | None = None
    keep: int = 3
    signed: bool = False
    public_key: Path | None = None

    def publish(self, candidate: Release) -> dict[str, dict]:
        """Return of each target where its repository is; raise SlipwayError when it is not whole or does not arrive."""
        for part in candidate.parts:
            require_whole(part)
            self._require_signed(part)
        if candidate.to == "compose":
            return {target: {"published": False, "why": HERE} for target in candidate.targets}
        if self.to is None:
            return {part.target: _not_by_slipway(part) for part in candidate.parts}
        return {part.target: self._publish(candidate.model, part) for part in candidate.parts}

    def _publish(self, model: str, part: Part) -> dict:
        from slipway.triton.repository.publishing import destination_of, publish

        destination = destination_of(self.to, part.values["claim_path"], model, part.target)
        protected, signature = versions_in_use(self.results, part.target), part.signature if self.signed else None
        told = publish(part.repository.parent, part.index, destination, self.keep, protected, signature=signature)
        progress(f"  {model}: {told['version']} {'published to' if told['copied'] else 'is in'} {told['destination']}")
        return {"published": True, "signed": self.signed, **told}

    def _require_signed(self, part: Part) -> None:
        """Raise SlipwayError unless the repository is the one that was signed, where that is asked for."""
        if self.public_key:
            from slipway.triton.repository.signing import verify_repository

            verify_repository(part.repository.parent, self.public_key, part.signature)


def _not_by_slipway(part: Part) -> dict:
    where = f"{part.values['repository_path']} in the claim {part.values['claim']}"
    progress(f"  {part.target}: `deploy.publish.to` is not set; the repository has to lie at {where} already")
    return {"published": False, "why": f"not published by Slipway; it has to lie at {where}"}
