"""What is published, signed and fetched from storage: its key, and what is refused."""

import pytest
from helpers.artifacts.configured import job_keys, resolved
from helpers.artifacts.published import key_pair

from slipway.core.errors import SlipwayError

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


def test_publishing_nowhere_is_refused_and_so_is_signing_without_a_key():
    with pytest.raises(SlipwayError, match=r"`deploy.publish.to` says nowhere"):
        job_keys().publish_repository("m", "cpu")
    with pytest.raises(SlipwayError, match=r"`deploy.signing.private_key` names no key"):
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

    (tmp_path / "a.pem").write_text("a")
    (tmp_path / "b.pem").write_text("a")
    before = settings("a.pem")
    assert settings("b.pem") == before
    (tmp_path / "b.pem").write_text("another")
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
