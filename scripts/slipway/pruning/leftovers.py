"""Find files below results/ and logs/ to which no configuration refers any more, and remove these files.

Only files that Slipway made are found: artifacts with a recorded SHA-256, stored versions of deployed models, timing
caches, fetched weights, and logs of Slipway's rules. These files stay: live versions, versions that a rollback needs,
files that another configuration names, and edited files. The owner of a file is the part of the configuration that it
belongs to, such as "the target l4 of resnet50".
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from slipway.core.artifacts import remove, write_json
from slipway.core.records import read_record
from slipway.deploy.local.model_store import ModelStore
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.release_store import ReleaseStore
from slipway.history import file as history_file
from slipway.keys.code_hash import SCRIPTS
from slipway.keys.file_hash_cache import FileHashCache
from slipway.load_test import kept_points
from slipway.pruning.references import OtherConfiguration, References, is_measurement, live_targets
from slipway.snakemake_hooks.artifact_stamps import ARTIFACTS, digest, read_stamps
from slipway.snakemake_hooks.layout import TIME_STAMP, incomplete_mark, snakemake_record
from slipway.storage import local_copies
from slipway.triton.repository.versions import served_name

RESULTS, LOGS = Path("results"), Path("logs")


@dataclass
class Leftovers:
    """The files in the working folder that Slipway made and no configuration needs any more.

    `references` has the models, targets and engines of this configuration, and `others` are the other configurations in
    the same folder. With `measurements`, records of measurements are removable, too. `removable` is {owner in words,
    such as "the model tiny": paths}. `versions` is {name of a model in Triton: removable versions of the local server}.
    The keys of `kept` are sentences about files that stay, with the reason, in order; its values are None.
    """

    references: References
    others: list[OtherConfiguration]
    measurements: bool
    removable: dict[str, list[Path]] = field(default_factory=dict)
    versions: dict[str, list[int]] = field(default_factory=dict)
    kept: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find all leftovers in the working folder, and fill `removable`, `versions` and `kept`."""
        self._live, self._stamps = live_targets(RESULTS), read_stamps()
        self._store = ModelStore(RESULTS / ".server")
        self._artifacts()
        self._versions_of_platforms()
        self._versions_of_server()
        self._caches()
        self._kept_points()
        self._logs()
        self._files_of_users()

    def _keep(self, sentence: str) -> None:
        self.kept[sentence] = None

    def _artifacts(self) -> None:
        hashes = FileHashCache()
        for name, stamp in sorted(self._stamps.items()):
            path, owner = Path(name), self.references.unreferenced(name)
            if owner is None or not path.exists() or path.match("deploy/receipt*.json") or self._is_kept(owner, path):
                continue
            if digest(path, hashes) != stamp["sha256"]:
                self._keep(f"{name} was edited since it was made")
            else:
                self._add(owner, path, is_measurement(name))

    def _add(self, owner: str, path: Path, is_measured: bool = False) -> None:
        """Add a path to `removable`, under its owner in words.

        If `is_measured`, the path is a record of a measurement. Without the option `measurements`, it stays.
        """
        if is_measured and not self.measurements:
            self._keep(f"measurements of {owner}; `--config prune=all` removes them, too")
        else:
            self.removable.setdefault(owner, []).append(path)

    def _is_kept(self, owner: str, path: Path) -> bool:
        """Say whether a live version, another configuration or a rollback needs a path. Then add the reason to `kept`.

        `owner` is the owner of the path in words. `path` is <folder>/<model>/[<target>/]...
        """
        _, model, *folders = path.parts
        target, known = folders[0], model in self.references.models
        if model in self._live and (not known or target in self._live[model]):
            self._keep(f"{owner}: it is live (`snakemake --cores 1 undeploy_{model}` undeploys it)")
        elif other := next((other for other in self.others if self._names(other, model, target)), None):
            self._keep(f"{owner}: {other.file} names it")
        elif path.name == "reference_outputs.json" and self._has_versions(model):
            self._keep(f"reference_outputs.json of {model}, for clients after a rollback to it")
        else:
            return False
        return True

    def _names(self, other: OtherConfiguration, model: str, target: str) -> bool:
        """Say whether the configuration `other` may need the files in results/<model>/<target>/.

        `target` may also be the name of another folder or file there.
        """
        lost = model in self.references.models and self.references.is_lost(target)
        return model in other.models and (not lost or other.names_target(target))

    def _has_versions(self, model: str) -> bool:
        """Say whether a rollback of the local server may serve a model again. `model` is its name in config.yaml."""
        record = self._store.ledger.read()
        names = {name for name, entry in record["models"].items() if entry["model"] == model}
        return any(names & live.keys() for live in record["live"])

    def _versions_of_platforms(self) -> None:
        """Find versions that are stored for clusters or Compose, of models that are neither configured nor live."""
        for to in [to for to, traits in PLATFORMS.items() if traits.files]:
            for history in sorted(RESULTS.glob(f"*/deploy/{to}/history.json")):
                model, owner = history.parents[2], f"the versions of {history.parents[2].name} for {to}"
                store = ReleaseStore(model, to)
                if model.name in self.references.models or self._is_kept(owner, history):
                    continue
                if store.ledger.read()["rollout"]:
                    self._keep(f"{owner}: a deployment was interrupted, which `undeploy_{model.name}` ends")
                    continue
                for name in store.ledger.read()["stored"]:
                    for number in store.versions(name):
                        folder = store.folder / str(number)
                        if store.changes(name, number):
                            self._keep(f"{folder} was edited since it was stored")
                        else:
                            self._add(owner, folder)
                self._add(owner, history)

    def _versions_of_server(self) -> None:
        """Find the stored versions of the local server that no rollback needs."""
        record, known = self._store.ledger.read(), set(map(served_name, {*self.references.models, *self._live}))
        for name in record["stored"] if record["rollout"] is None else []:
            served = self._store.selected(name)
            kept = {*self._store.ledger.last_of(name), *([] if served is None else [served])}
            if removable := [number for number in self._store.versions(name) if number not in kept]:
                self.versions[name] = removable
            if kept and name not in known:
                self._keep(f"{name} version {', '.join(map(str, sorted(kept)))}: `rollback` may serve it again")

    def _caches(self) -> None:
        for path in sorted((RESULTS / ".timing").glob("*.cache")):
            target = path.stem
            if target not in self.references.targets and not any(other.names_target(target) for other in self.others):
                self._add("timing caches", path)
        weights = self.references.weights.union(*(other.weights for other in self.others))
        for record in sorted(local_copies.FOLDER.glob("*/fetched.json")):
            content = read_record(record, {"address": str})
            if content and content["address"] not in weights:
                self._add("copies of weights in storage", record.parent)

    def _kept_points(self) -> None:
        """Find stored measurements of load tests whose engine is gone, or whose model or target is not configured."""
        for path in sorted(kept_points.FOLDER.glob("*/*/*.json")):
            model, target = path.parts[-3:-1]
            owner = self.references.unreferenced(f"results/{model}/{target}/analysis/{path.name}")
            files = RESULTS / model / target
            if owner is None and kept_points.engine_is_gone(path, files):
                self._add("kept measurements of engines that are gone", path)
            elif owner and not self._is_kept(owner, files / "analysis"):
                self._add(owner, path, is_measured=True)

    def _logs(self) -> None:
        programs = {path.stem for path in SCRIPTS.glob("*.py")} | {"deploy_release"}
        for path in [*sorted(LOGS.glob("*/*.log")), *sorted(LOGS.glob("*/*/*.log"))]:
            rule = path.name.split(".")[0]
            own = rule in programs or rule.startswith("build_")
            owner = self.references.unreferenced(path.as_posix())
            if own and owner and not self._is_kept(owner, path):
                self._add("logs", path)

    def _files_of_users(self) -> None:
        """Add to `kept` the files that Slipway did not make, of models that are neither configured nor live."""
        made = {Path(name) for name in self._stamps}.union(*self.removable.values())
        strange = [
            path
            for path in sorted(RESULTS.glob("[!.]*/**/*"))
            if path.parts[1] not in {*self.references.models, *self._live}
            and path.is_file()
            and path.name != TIME_STAMP
            and made.isdisjoint([path, *path.parents])
        ]
        by_model: dict[str, list[Path]] = {}
        for path in strange:
            if path.name == history_file.NAME:
                self._keep(f"{path}: the history of {path.parts[1]}, which no command removes")
            else:
                by_model.setdefault(path.parts[1], []).append(path)
        for first, *others in by_model.values():
            self._keep(f"{first}{f' and {len(others)} others' if others else ''}: no job recorded making it")


def folders_of(versions: dict[str, list[int]]) -> Iterator[Path]:
    """Yield the folders of stored versions of the local server. `versions` is {name of a model in Triton: versions}."""
    store = ModelStore(RESULTS / ".server")
    for name, numbers in versions.items():
        yield from (root / str(number) for number in numbers for root in store.roots(name).values())


def size_mb(paths: Iterable[Path]) -> float:
    """Return the total size of files and folders in MB (10^6 bytes)."""
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    return sum(file.lstat().st_size for file in files if file.is_file()) / 1e6


def remove_all(leftovers: Leftovers) -> None:
    """Remove the files and versions in `leftovers`, Snakemake's records of them, and folders that became empty."""
    paths, stamps = [path for paths in leftovers.removable.values() for path in paths], read_stamps()
    for path in paths:
        remove(path)
        for record in (snakemake_record(path), incomplete_mark(path)):
            remove(record)
    if {path.as_posix() for path in paths} & stamps.keys():
        write_json(ARTIFACTS, {name: stamp for name, stamp in stamps.items() if Path(name) not in set(paths)})
    for name in leftovers.versions:
        ModelStore(RESULTS / ".server").prune(name)
    emptied = {parent for path in paths for parent in path.parents if len(parent.parts) > 1}
    for folder in sorted(emptied, key=lambda folder: -len(folder.parts)):
        if [path.name for path in folder.iterdir()] == [TIME_STAMP]:
            remove(folder / TIME_STAMP)
        with suppress(OSError):  # the folder is not empty
            folder.rmdir()
