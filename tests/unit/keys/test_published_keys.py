"""What is published, signed and fetched from storage: its key, and what is refused."""

from pathlib import Path

import pytest
from helpers.artifacts.configured import job_keys, resolved
from helpers.artifacts.published import key_pair

from slipway.core.errors import SlipwayError
from slipway.keys.publication_validation import require_folder

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


def test_publishing_nowhere_is_refused_and_so_is_signing_without_a_key():
    with pytest.raises(SlipwayError, match=r"`deploy.publish.to` is not set"):
        job_keys().publish_repository("m", "cpu")
    with pytest.raises(SlipwayError, match=r"`deploy.signing.private_key` is not set"):
        job_keys().sign_repository("m", "cpu")


def test_what_is_published_is_keyed_on_where_it_goes_and_not_on_how_many_stay():
    keys = [
        repr(job_keys(deploy={"publish": {"to": to, "keep_versions": keep}}).publish_repository("m", "cpu"))
        for to, keep in (("claim", 3), ("claim", 9), ("s3://bucket", 3))
    ]
    assert keys[0] == keys[1] != keys[2]


def test_the_key_of_signatures_enters_by_its_content(tmp_path):
    def settings(name):
        found = job_keys(deploy={"publish": {"to": "claim"}, "signing": {"public_key": name, "private_key": "p.pem"}})
        return [
            repr(each)
            for each in (
                found.publish_repository("m", "cpu"),
                found.sign_repository("m", "cpu"),
                found.deploy_release(),
            )
        ]

    private, public = key_pair(tmp_path)
    public.rename("a.pem")
    private.unlink()
    Path("b.pem").write_bytes(Path("a.pem").read_bytes())
    before = settings("a.pem")
    assert settings("b.pem") == before
    key_pair(tmp_path)[1].rename("b.pem")
    assert not set(settings("b.pem")) & set(before)
    with pytest.raises(SlipwayError, match=r"`deploy.signing.public_key` is 'c.pem', which does not exist"):
        settings("c.pem")


def test_another_private_key_in_the_same_file_signs_anew(tmp_path):
    def settings():
        return repr(job_keys(deploy={"signing": {"private_key": str(private)}}).sign_repository("m", "cpu"))

    private, _ = key_pair(tmp_path)
    before = settings()
    private.touch()
    assert settings() == before
    key_pair(tmp_path)
    assert settings() != before


def test_a_password_in_an_address_is_refused_and_not_shown():
    with pytest.raises(SlipwayError, match="holds a password") as caught:
        resolved(deploy={"publish": {"to": "ftp://me:hunter2@host/models"}})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("s4://bucket/models", "no storage is known by s4://; name a folder, or an address of fsspec's such as s3://"),
        ("memory://models", "memory:// ends with the job that publishes"),
    ],
)
def test_an_address_where_nothing_can_stay_is_refused(to, why):
    with pytest.raises(SlipwayError, match=f"`deploy.publish.to` is '{to}', but {why}"):
        resolved(deploy={"publish": {"to": to}})
    assert resolved(deploy={"publish": {"to": "s3://bucket/models"}})


def test_a_folder_to_publish_to_must_exist_where_something_is_published():
    assert resolved(deploy={"publish": {"to": "claim"}}), "a run that publishes nothing needs no claim"
    with pytest.raises(SlipwayError, match=r"`deploy.publish.to` is 'claim', but this folder does not exist; mount"):
        require_folder("claim")
    with pytest.raises(SlipwayError, match="this folder does not exist"):
        require_folder(f"file://{Path.cwd()}/claim")
    Path("claim").mkdir()
    for to in ("claim", f"file://{Path.cwd()}/claim", "s3://bucket/models", None):
        require_folder(to)


@pytest.mark.parametrize(
    ("half", "why"),
    [
        ("public", "key.pem cannot be read as a public key in PEM"),
        ("private", "key.pem has no private key in PEM; make"),
    ],
)
def test_a_file_that_is_no_key_is_refused_while_planning(half, why):
    Path("key.pem").write_text("no key")
    with pytest.raises(SlipwayError, match=f"config: `deploy.signing.{half}_key`.* {why}"):
        resolved(deploy={"signing": {f"{half}_key": "key.pem"}})


def test_a_pair_of_keys_is_taken_and_so_is_a_private_key_of_another_machine(tmp_path):
    private, public = key_pair(tmp_path)
    assert resolved(deploy={"signing": {"private_key": str(private), "public_key": str(public)}})
    assert resolved(deploy={"signing": {"private_key": "elsewhere.pem", "public_key": str(public)}})
    with pytest.raises(SlipwayError, match="cannot be read as a public key"):
        resolved(deploy={"signing": {"public_key": str(private)}})


def test_a_public_key_of_another_private_key_is_refused_while_planning(tmp_path):
    public = key_pair(tmp_path)[1].rename("other.pem")
    private, _ = key_pair(tmp_path)
    with pytest.raises(SlipwayError, match=r"'other\.pem', which is not the public half of .*; make it with: openssl"):
        resolved(deploy={"signing": {"private_key": str(private), "public_key": str(public)}})


@pytest.mark.parametrize("name", ["samples", "labels", "image"])
def test_other_files_than_weights_are_not_in_storage_and_that_is_told(name):
    with pytest.raises(SlipwayError, match=rf"`models\.m\.{name}` is 's3://b/x\.npz', but only `weights` may lie"):
        resolved(models={"m": {name: "s3://b/x.npz"}})


@pytest.mark.parametrize("name", ["weights", "samples", "labels", "wieghts"])
def test_a_secret_in_an_address_of_a_model_is_shown_in_no_message(name):
    signed = "https://bucket.host/best.txt?X-Amz-Signature=hunter2"
    with pytest.raises(SlipwayError, match=rf"`models\.m\.{name}` holds a password, token or signature") as caught:
        resolved(models={"m": {name: signed}})
    assert "hunter2" not in str(caught.value)
