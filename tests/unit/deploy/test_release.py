"""What is looked at before anything elsewhere is changed, which versions are kept, and what is known after a kill."""

import pytest
from helpers.artifacts.deployable import NAME, Deployable

from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError
from slipway.deploy.publishing import Publisher
from slipway.deploy.release import Release
from slipway.deploy.release_history import ReleaseHistory, versions_in_use
from slipway.deploy.transaction import deployment_state
from slipway.deploy.validation import require_deployable, require_release, require_whole, verified
from slipway.triton.server.releases import release


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
    return Release.read(trained.results, to)


def receipt_of(history, version):
    return {"number": int(version.folder.name), "identity": version.identity}


# Checks


def test_what_the_workflow_leaves_is_deployable(trained):
    found = candidate_of(trained)
    require_deployable(found)
    assert found.targets == ["cpu", "edge"]
    assert candidate_of(trained, "compose").targets == ["cpu"]


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
        with pytest.raises(SlipwayError, match="edited or truncated"):
            require_whole(candidate_of(trained).parts[0])
        with pytest.raises(SlipwayError, match="edited or truncated"):
            Publisher(trained.results).publish(candidate_of(trained))
    finally:
        labels.write_text(text, encoding="utf-8")


def engine_of(changed, version):
    key = {"runtime": "tensorrt", "runtime_version": version, "precision": "fp16", "hardware": "", "builder": {}}
    changed("cpu/repository.json", engine_key=key)


def test_another_tensorrt_than_the_release_has_is_refused(trained, changed):
    engine_of(changed, "8.5.3.1")
    with pytest.raises(SlipwayError, match=r"built by tensorrt 8.5.3.1, but .* would run it.*Nothing was changed"):
        require_release(candidate_of(trained).parts[0])


def test_the_tensorrt_of_the_release_is_verified_before_and_after(trained, changed):
    serving = read_tensorrt(trained)
    engine_of(changed, serving)
    part = candidate_of(trained).parts[0]
    assert require_release(part)["runtime"] is True
    with pytest.raises(SlipwayError, match="would run it"):
        verified(part, "2.51.0")
    assert verified(part, "0.0.0")["runtime"] is False


def read_tensorrt(trained):
    return release(candidate_of(trained).fleet[0]["triton_release"]).tensorrt


def test_other_runtimes_tell_no_version(trained):
    assert require_release(candidate_of(trained).parts[0])["runtime"] is False


# The release history


@pytest.fixture
def history(trained, tmp_path):
    """Return an empty release history."""
    return ReleaseHistory(tmp_path / "tiny", "kubernetes")


def keep(history, found, proven=True, limit=3):
    version = history.keep(found)
    history.begin(version, {})
    if proven:
        history.succeeded(version, receipt_of(history, version), limit)
    return version


def test_a_version_that_is_live_is_kept_once(trained, history, changed):
    first = keep(history, candidate_of(trained))
    assert first.identity == candidate_of(trained).identity
    assert keep(history, candidate_of(trained)).folder == first.folder
    changed("cpu/repository.json", proven_on_labels=True)
    second = keep(history, candidate_of(trained))
    assert (first.folder.name, second.folder.name) == ("1", "2")
    assert history.proven() == [1, 2]
    assert history.live()["number"] == 2


def test_old_versions_go_and_the_live_one_stays(trained, history, changed):
    for turn in range(3):
        changed("cpu/repository.json", turn=turn)
        keep(history, candidate_of(trained), limit=2)
    assert history.proven() == [2, 3]
    history.succeeded(history.version(2), receipt_of(history, history.version(2)), 1)
    assert history.proven() == [2, 3]
    assert history.live()["number"] == 2


def test_a_version_that_was_taken_back_leaves_nothing(trained, history, changed):
    keep(history, candidate_of(trained))
    changed("cpu/repository.json", turn=1)
    keep(history, candidate_of(trained), proven=False)
    assert history.begun()["number"] == 2
    history.restored()
    assert history.begun() is None
    assert [path.name for path in history.folder.glob("[0-9]*")] == ["1"]


@pytest.mark.parametrize(
    "file", ["deploy/kubernetes.yaml", "cpu/repository.json", "golden.npz", "receipt.json", "more"]
)
def test_a_kept_version_that_was_changed_is_told_and_not_gone_back_to(trained, history, file, capsys):
    keep(history, candidate_of(trained))
    path = history.folder / "1" / file
    kind = "edited" if path.exists() else "not part of it"
    with path.open("a", encoding="utf-8") as edited:
        edited.write("# edited\n")
    with pytest.raises(SlipwayError, match=rf"kubernetes/1 is not what was proven \({kind}: {file}\)"):
        history.require_whole(1)
    assert deployment_state(history).live is None
    assert "WARNING" in capsys.readouterr().err


def test_a_kept_version_that_was_changed_is_put_right_when_the_same_is_deployed_again(trained, history):
    keep(history, candidate_of(trained))
    (history.folder / "1" / "golden.npz").write_bytes(b"other answers")
    assert keep(history, candidate_of(trained)).folder.name == "1"
    history.require_whole(1)
    assert history.proven() == [1]


def test_a_kept_version_whose_removal_was_killed_is_in_nobodys_way(trained, history, changed, monkeypatch):
    keep(history, candidate_of(trained))
    changed("cpu/repository.json", turn=1)
    with monkeypatch.context() as killed:
        killed.setattr("shutil.rmtree", lambda *_, **__: None)
        keep(history, candidate_of(trained), limit=1)
    assert history.proven() == [2]
    assert versions_in_use(history.folder.parents[1], "cpu") == {candidate_of(trained).version_of("cpu")}
    changed("cpu/repository.json", turn=2)
    assert keep(history, candidate_of(trained)).folder.name == "3"
    assert not list(history.folder.glob(".removed.*"))


@pytest.mark.parametrize("left", ["receipt.json", "deploy/manifests.json"])
def test_a_kept_version_that_is_half_there_blocks_nothing(trained, history, changed, left):
    keep(history, candidate_of(trained))
    changed("cpu/repository.json", turn=1)
    keep(history, candidate_of(trained))
    for path in (history.folder / "1").rglob("*"):
        if path.is_file() and path != history.folder / "1" / left:
            path.unlink()
    assert len(versions_in_use(history.folder.parents[1], "cpu")) == 1
    changed("cpu/repository.json", turn=2)
    assert keep(history, candidate_of(trained)).folder.name == "3"
