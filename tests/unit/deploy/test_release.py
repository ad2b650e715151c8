"""What is looked at before anything elsewhere is changed, which versions are kept, and what is known after a kill."""

from argparse import Namespace

import pytest
from helpers.artifacts.deployable import NAME, Deployable
from helpers.artifacts.receipts import local_receipt

from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.errors import SlipwayError
from slipway.deploy.container_platform import ContainerPlatform, require_deployable
from slipway.deploy.ledger import DEPLOYMENT, Ledger
from slipway.deploy.publishing import publish
from slipway.deploy.release import Release
from slipway.deploy.release_history import DeploymentState, ReleaseHistory
from slipway.deploy.release_store import ReleaseStore, versions_in_use
from slipway.deploy.transaction import preflight
from slipway.triton.server.releases import release_with


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a model as it is left for deployment; tests put back what they change."""
    return Deployable(tmp_path_factory.mktemp("trained"), targets=("cpu", "edge")).train(0)


@pytest.fixture
def changed(trained):
    """Return a function that writes keys of a JSON artifact anew, until the test ends."""
    before = {}

    def change(name, **keys):
        path = trained.results / name
        before.setdefault(path, path.read_bytes())
        write_json(path, read_json(path) | keys)

    yield change
    for path, content in before.items():
        path.write_bytes(content)


def candidate_of(trained, to="kubernetes"):
    return Release.read([trained.results], to)


# Checks


def test_what_the_workflow_leaves_is_deployable(trained):
    found = candidate_of(trained)
    require_deployable(found)
    assert [part.target for part in found.parts] == ["cpu", "edge"]
    assert [part.target for part in candidate_of(trained, "compose").parts] == ["cpu"]


def test_a_manifest_that_was_edited_is_refused(trained):
    path = trained.results / "deploy" / "kubernetes.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("replicas: 1", "replicas: 9"), encoding="utf-8")
    try:
        with pytest.raises(
            SlipwayError, match=r"kubernetes.yaml is not what .* edited or truncated.*Nothing was changed"
        ):
            require_deployable(candidate_of(trained))
        require_deployable(candidate_of(trained, "kserve"))
    finally:
        path.write_text(text, encoding="utf-8")


def test_random_weights_stay_here(trained, changed):
    changed("cpu/repository.json", origin="rehearsal")
    with pytest.raises(SlipwayError, match=r"tiny has random weights.*on this machine\s+only"):
        require_deployable(candidate_of(trained))


def test_manifests_of_another_repository_are_refused(trained, changed):
    changed("edge/repository.json", proven_on_labels=True)
    with pytest.raises(SlipwayError, match=r"was made for another .*edge/repository.json"):
        require_deployable(candidate_of(trained))


def test_a_repository_that_was_cut_is_refused_before_it_is_published(trained):
    labels = trained.repository() / NAME / "labels.txt"
    text = labels.read_text(encoding="utf-8")
    labels.write_text("other\n", encoding="utf-8")
    try:
        with pytest.raises(SlipwayError, match=r"edited or truncated.*Nothing was changed"):
            publish(candidate_of(trained), trained.results)
    finally:
        labels.write_text(text, encoding="utf-8")


def engine_of(changed, version):
    key = {"runtime": "tensorrt", "runtime_version": version, "precision": "fp16", "hardware": ""}
    changed("cpu/repository.json", engine_key=key | {"builder": {"compatibility": "none"}})


def test_another_tensorrt_than_the_release_has_is_refused(trained, changed):
    engine_of(changed, "8.5.3.1")
    accepting = Namespace(preflight=lambda *_: {}, verify_runtime=ContainerPlatform().verify_runtime)
    with pytest.raises(SlipwayError, match=r"built by tensorrt 8.5.3.1, but .* would run it.*Nothing was changed"):
        preflight(accepting, candidate_of(trained), DeploymentState())


def test_the_tensorrt_of_the_release_is_verified_before_and_after(trained, changed):
    serving = read_tensorrt(trained)
    engine_of(changed, serving)
    part = candidate_of(trained).parts[0]
    assert ContainerPlatform().verify_runtime(part)["runtime"] is True
    with pytest.raises(SlipwayError, match="would run it"):
        ContainerPlatform().verify_runtime(part, "2.51.0")
    assert ContainerPlatform().verify_runtime(part, "0.0.0")["runtime"] is False


def read_tensorrt(trained):
    return release_with("triton", candidate_of(trained).parts[0].values["triton_release"]).tensorrt


def test_other_runtimes_tell_no_version(trained):
    assert ContainerPlatform().verify_runtime(candidate_of(trained).parts[0])["runtime"] is False


# The release history


@pytest.fixture
def history(trained, tmp_path):
    """Return an empty release history."""
    results = tmp_path / "tiny"
    return ReleaseHistory(ReleaseStore(results, "kubernetes"), [results / "deploy" / "receipt.kubernetes.json"])


def keep(history, found, proven=True, limit=3):
    version = history.store.keep(found)
    history.begin(version, {}, DEPLOYMENT)
    if proven:
        receipt = local_receipt("tiny", version.parts[0].number, to="kubernetes", published={})
        receipt["targets"]["cpu"]["version"] = version.parts[0].version
        history.record({"tiny": receipt})
        history.prune(version, limit)
    return version


def digests(release):
    """Return the SHA-256 of a release's manifests and indexes."""
    files = [*release.files, *(part.index for part in release.parts)]
    return [(path.name, sha256(path)) for path in files]


def live(history):
    return history.store.ledger.live()[NAME]


def test_a_version_that_is_live_is_kept_once(trained, history, changed):
    first = keep(history, candidate_of(trained))
    assert digests(first) == digests(candidate_of(trained))
    assert keep(history, candidate_of(trained)).folder == first.folder
    changed("cpu/repository.json", proven_on_labels=True)
    second = keep(history, candidate_of(trained))
    assert (first.folder.name, second.folder.name) == ("1", "2")
    assert history.store.versions(NAME) == [1, 2]
    assert live(history) == history.live()["tiny"]["number"] == 2


@pytest.mark.parametrize("edited", [False, True])
def test_the_record_of_a_live_version_is_made_anew_from_its_receipt_unless_its_files_changed(trained, history, edited):
    version, ledger = keep(history, candidate_of(trained)), history.store.ledger
    before = ledger.read()
    ledger.file.unlink()
    if edited:
        with version.files[0].open("a", encoding="utf-8") as file:
            file.write("# edited\n")
    state = ContainerPlatform().settle(history)
    assert ledger.read() == (Ledger(trained.results / "none").read() if edited else before)
    assert (state.live is None) is edited


def test_old_versions_go_and_the_live_one_stays(trained, history, changed):
    for turn in range(3):
        changed("cpu/repository.json", turn=turn)
        keep(history, candidate_of(trained), limit=2)
    assert history.store.versions(NAME) == [2, 3]
    history.store.ledger.went_live({NAME: 2})
    history.prune(candidate_of(trained), 1)
    assert history.store.versions(NAME) == [2]
    assert live(history) == 2


def test_a_version_that_was_taken_back_leaves_nothing(trained, history, changed):
    keep(history, candidate_of(trained))
    changed("cpu/repository.json", turn=1)
    keep(history, candidate_of(trained), proven=False)
    assert history.pending().versions == {NAME: 2}
    history.restored()
    assert history.pending() is None
    assert [path.name for path in history.store.folder.glob("[0-9]*")] == ["1"]


@pytest.mark.parametrize(
    "file", ["deploy/kubernetes.yaml", "cpu/repository.json", "reference_outputs.npz", "receipt.json", "more"]
)
def test_a_kept_version_that_was_changed_is_told_and_not_gone_back_to(trained, history, file, capsys):
    keep(history, candidate_of(trained))
    path = history.store.folder / "1" / file
    kind = "edited" if path.exists() else "not part of it"
    with path.open("a", encoding="utf-8") as edited:
        edited.write("# edited\n")
    with pytest.raises(SlipwayError, match=rf"version 1 of {NAME} .* is not what was proven \({kind}: 1/{file}\)"):
        history.store.require_whole(NAME, 1)
    assert history.state().live is None
    assert "WARNING" in capsys.readouterr().err


def test_a_kept_version_that_was_changed_is_put_right_when_the_same_is_deployed_again(trained, history):
    keep(history, candidate_of(trained))
    (history.store.folder / "1" / "reference_outputs.npz").write_bytes(b"other answers")
    assert keep(history, candidate_of(trained)).folder.name == "1"
    history.store.require_whole(NAME, 1)
    assert history.store.versions(NAME) == [1]


def test_a_kept_version_whose_removal_was_killed_is_in_nobodys_way(trained, history, changed, monkeypatch):
    keep(history, candidate_of(trained))
    changed("cpu/repository.json", turn=1)
    with monkeypatch.context() as killed:
        killed.setattr("shutil.rmtree", lambda *_, **__: None)
        keep(history, candidate_of(trained), limit=1)
    assert history.store.versions(NAME) == [2]
    assert versions_in_use(history.store.folder.parents[1], "cpu") == {candidate_of(trained).parts[0].version}
    changed("cpu/repository.json", turn=2)
    assert keep(history, candidate_of(trained)).folder.name == "3"
    assert sorted(path.name for path in history.store.folder.glob("[0-9]*")) == ["2", "3"]


@pytest.mark.parametrize("left", ["reference_outputs.npz", "deploy/manifests.json"])
def test_a_kept_version_that_is_half_there_blocks_nothing(trained, history, changed, left):
    keep(history, candidate_of(trained))
    changed("cpu/repository.json", turn=1)
    keep(history, candidate_of(trained))
    for path in (history.store.folder / "1").rglob("*"):
        if path.is_file() and path != history.store.folder / "1" / left:
            path.unlink()
    assert len(versions_in_use(history.store.folder.parents[1], "cpu")) == 1
    changed("cpu/repository.json", turn=2)
    assert keep(history, candidate_of(trained)).folder.name == "3"


def test_the_live_version_stays_although_the_record_was_lost(trained, history, changed):
    keep(history, candidate_of(trained))
    history.store.ledger.file.write_text("null")
    changed("cpu/repository.json", turn=1)
    assert history.store.keep(candidate_of(trained)).folder.name == "2"
    assert (history.store.folder / "1" / "deploy" / "kubernetes.yaml").is_file()
