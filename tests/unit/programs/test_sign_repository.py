"""Signatures of repositories: what holds, what does not and why, and that nothing unsigned is served or published."""

import base64
import json

import model_signing
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from helpers.artifacts.published import Repository, addresses, key_pair, published

import publish_repository as publish_program
import sign_repository as program
from slipway.core.artifacts import read_json, sha256, tree_digest, write_json
from slipway.core.errors import SlipwayError
from slipway.deploy import publishing
from slipway.deploy.release import Part, Release
from slipway.keys.file_hash_cache import FileHashCache
from slipway.triton.repository.publishing import destination_of
from slipway.triton.repository.signing import sign, verify, verify_repository
from slipway.triton.repository.signing_keys import PASSWORD, public_sha256, signer, signer_of


@pytest.fixture
def made(tmp_path):
    return Repository(tmp_path / "made", "an engine")


@pytest.fixture
def keys(tmp_path):
    return key_pair(tmp_path)


@pytest.fixture
def signature(tmp_path, made, keys):
    """Return the signature of what was made."""
    path = tmp_path / "made" / "repository.sig"
    sign(made.folder, keys[0], path)
    return path


def why_not(folder, public_key, signature):
    with pytest.raises(SlipwayError) as caught:
        verify(folder, public_key, signature)
    return str(caught.value)


def why_unsigned(folder, private_key, signature):
    with pytest.raises(SlipwayError) as caught:
        sign(folder, private_key, signature)
    assert not signature.exists()
    return str(caught.value)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_a_signature_holds_for_what_was_signed(tmp_path, made, curve):
    private, public = key_pair(tmp_path, "other", curve)
    sign(made.folder, private, tmp_path / "repository.sig")
    verify(made.folder, public, tmp_path / "repository.sig")


def test_it_holds_the_hash_of_every_file_and_nothing_of_the_key(made, keys, signature):
    bundle = json.loads(signature.read_text())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert {each["name"] for each in statement["predicate"]["resources"]} == {
        *("m_trt/1/model.plan", "m_trt/config.pbtxt", "m_trt/configs/python.pbtxt", "m_trt/labels.txt")
    }
    secret = keys[0].read_text().splitlines()[1:-1]
    assert not any(line in signature.read_text() for line in secret)


def test_what_was_edited_added_or_removed_is_named(made, keys, signature):
    good = made.engine.read_text()
    made.engine.write_text("another engine")
    assert "(edited: m_trt/1/model.plan)" in why_not(made.folder, keys[1], signature)
    made.engine.write_text(good)
    for hidden in (".hidden", "1/__pycache__/model.cpython-311.pyc", ".git/config"):
        extra = made.model / hidden
        extra.parent.mkdir(exist_ok=True)
        extra.write_text("code")
        assert f"(never signed: m_trt/{hidden})" in why_not(made.folder, keys[1], signature)
        extra.unlink()
    (made.model / "labels.txt").unlink()
    (made.model / "config.pbtxt").unlink()
    assert "(missing: m_trt/config.pbtxt, m_trt/labels.txt)" in why_not(made.folder, keys[1], signature)


def test_bytecode_goes_before_a_repository_is_verified(made, keys, signature):
    bytecode = made.model / "1" / "__pycache__" / "model.cpython-311.pyc"
    bytecode.parent.mkdir()
    bytecode.write_bytes(b"code")
    verify_repository(made.folder, keys[1], signature)
    assert not bytecode.parent.exists()


def test_a_link_is_not_followed(tmp_path, made, keys, signature):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (made.model / "1" / "__pycache__").symlink_to(elsewhere)
    with pytest.raises(SlipwayError, match="symlink"):
        verify_repository(made.folder, keys[1], signature)
    assert elsewhere.exists()


def test_another_key_does_not_verify(tmp_path, made, signature):
    _, public = key_pair(tmp_path, "other")
    assert "was made with another key" in why_not(made.folder, public, signature)


@pytest.mark.parametrize("part", ["payload", "signature"])
def test_a_signature_that_was_edited_does_not_hold(made, keys, signature, part):
    bundle = json.loads(signature.read_text())
    envelope = bundle["dsseEnvelope"]
    if part == "payload":
        statement = base64.b64decode(envelope["payload"]).replace(b"labels.txt", b"labels.bak")
        envelope["payload"] = base64.b64encode(statement).decode()
    else:
        [first] = envelope["signatures"]
        *start, last = base64.b64decode(first["sig"])
        first["sig"] = base64.b64encode(bytes([*start, last ^ 1])).decode()
    signature.write_text(json.dumps(bundle))
    assert "was not made with the key of" in why_not(made.folder, keys[1], signature)


@pytest.mark.parametrize("content", ["", "{}", "no JSON", '{"mediaType": 1}'])
def test_a_broken_signature_is_told(made, keys, signature, content):
    signature.write_text(content)
    assert "cannot be checked against" in why_not(made.folder, keys[1], signature)


def test_a_missing_signature_is_told(tmp_path, made, keys):
    message = why_not(made.folder, keys[1], tmp_path / "absent.sig")
    assert "is not signed" in message
    assert "`deploy.signing.private_key`" in message


# Keys that cannot be used


def test_an_encrypted_key_takes_its_password_from_the_environment(tmp_path, made, monkeypatch):
    private, public = key_pair(tmp_path, "locked", password=b"hunter2")
    signature = tmp_path / "repository.sig"
    monkeypatch.delenv(PASSWORD, raising=False)
    assert f"is encrypted; set its password as {PASSWORD}" in why_unsigned(made.folder, private, signature)
    monkeypatch.setenv(PASSWORD, "hunter3")
    message = why_unsigned(made.folder, private, signature)
    assert f"{PASSWORD} is not its password" in message
    assert "hunter3" not in message
    monkeypatch.setenv(PASSWORD, "hunter2")
    sign(made.folder, private, signature)
    verify(made.folder, public, signature)


def test_a_password_that_a_key_does_not_need_is_left_unused(made, keys, tmp_path, monkeypatch):
    monkeypatch.setenv(PASSWORD, "hunter2")
    sign(made.folder, keys[0], tmp_path / "repository.sig")


def test_keys_that_are_none_are_told_and_not_shown(tmp_path, made, keys, signature):
    private, public = keys
    secret = private.read_text()
    broken = tmp_path / "broken.pem"
    broken.write_text(secret[:60] + secret[80:])
    new = tmp_path / "new.sig"
    for wrong in (broken, public):
        message = why_unsigned(made.folder, wrong, new)
        assert "cannot be read as a private key in PEM" in message
        assert not any(line in message for line in secret.splitlines()[1:-1])
    for wrong in (broken, private):
        assert "cannot be read as a public key in PEM" in why_not(made.folder, wrong, signature)
    assert "No such file or directory" in why_unsigned(made.folder, tmp_path / "absent.pem", new)
    assert "`deploy.signing.public_key`" in why_not(made.folder, tmp_path / "absent.pem", signature)


def test_keys_of_another_kind_are_told(tmp_path, made):
    rsa_key = rsa.generate_private_key(65537, 2048)
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "rsa.pem").write_bytes(rsa_key.private_bytes(*pem))
    bitcoin, _ = key_pair(tmp_path, "bitcoin", ec.SECP256K1())
    for private in (tmp_path / "rsa.pem", bitcoin):
        assert "is no key of the curves secp256r1" in why_unsigned(made.folder, private, tmp_path / "new.sig")


# The programs


def run_sign(made, private_key, signature, *more):
    options = ["--folder", made.model, "--index", made.index, "--private-key", private_key, "--signature", signature]
    program.main(program.parse_arguments([str(word) for word in (*options, *more)]))


def test_the_program_signs_only_the_repository_of_the_index(tmp_path, made, keys):
    signature = tmp_path / "repository.sig"
    run_sign(made, keys[0], signature, "--public-key", keys[1])
    verify(made.folder, keys[1], signature)
    signature.unlink()
    made.engine.write_text("edited")
    with pytest.raises(SlipwayError, match=r"is not what repository.json says"):
        run_sign(made, keys[0], signature)
    assert not signature.exists()


def test_the_program_tells_that_the_keys_are_no_pair(tmp_path, made, keys):
    _, other = key_pair(tmp_path, "other")
    with pytest.raises(SlipwayError, match="was made with another key"):
        run_sign(made, keys[0], tmp_path / "repository.sig", "--public-key", other)


def test_another_key_in_the_same_file_is_seen_by_its_public_half(tmp_path, made, keys, signature):
    private, public = keys
    before = public_sha256(private)
    assert before == sha256(public) == signer_of(signature)
    run_sign(made, private, signature, "--signed-by", before)
    other, _ = key_pair(tmp_path, "other")
    private.write_bytes(other.read_bytes())
    assert public_sha256(private) != before
    with pytest.raises(SlipwayError, match="holds another key since this job was planned"):
        run_sign(made, private, signature, "--signed-by", before)


def test_where_the_key_cannot_be_read_it_is_taken_for_the_one_that_signed(tmp_path, keys, signature, monkeypatch):
    monkeypatch.delenv(PASSWORD, raising=False)
    locked, _ = key_pair(tmp_path, "locked", password=b"hunter2")
    for private in (tmp_path / "absent.pem", locked):
        assert signer(str(private), signature, FileHashCache().remember) == public_sha256(keys[0])
        assert signer(str(private), tmp_path / "absent.sig", FileHashCache().remember) is None
    monkeypatch.setenv(PASSWORD, "hunter2")
    assert signer(str(locked), signature, FileHashCache().remember) == public_sha256(locked) != public_sha256(keys[0])


def run_publish(made, claim, record, *more):
    options = ["--model", "m", "--target", "cpu", "--folder", made.model, "--index", made.index, "--to", claim]
    options += ["--record", record, *more]
    publish_program.main(publish_program.parse_arguments([str(word) for word in options]))


def test_a_published_version_verifies_where_it_lies_with_the_library_alone(tmp_path, made, keys, signature):
    claim = addresses(tmp_path)["folder"]
    run_publish(made, claim, tmp_path / "record", "--signature", signature, "--public-key", keys[1])
    place = f"{claim}/m/cpu/{made.version}"
    verifier = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=keys[1])
    verifier.verify(place, f"{place}.sig")


def test_what_is_not_what_was_signed_is_not_published(tmp_path, made, keys, signature):
    claim = addresses(tmp_path)["folder"]
    _, other = key_pair(tmp_path, "other")
    with pytest.raises(SlipwayError, match="was made with another key"):
        run_publish(made, claim, tmp_path / "record", "--signature", signature, "--public-key", other)
    assert not (tmp_path / "claim" / "m").exists()
    assert not (tmp_path / "record").exists()


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_a_new_signature_replaces_the_old_one_and_an_old_version_takes_its_own_along(tmp_path, made, keys, kind):
    destination = destination_of(addresses(tmp_path)[kind], "", "m", "cpu")
    signatures = [tmp_path / "1.sig", tmp_path / "2.sig"]
    for each in signatures:
        sign(made.folder, keys[0], each)
        made.publish(destination, signature=each)
        assert published(destination)[made.version][f"{made.version}.sig"] == each.read_bytes()
    new = Repository(tmp_path / "new", "another engine")
    assert new.publish(destination, keep=1)["pruned"] == [made.version]
    assert list(published(destination)) == [new.version]


def test_a_deployment_refuses_what_is_not_signed_before_anything_is_copied(tmp_path, made, keys, signature):
    assert signature == made.index.with_suffix(".sig")
    part = Part("m", "cpu", made.model, made.index, tmp_path / "reference_outputs.npz")

    def publish(public_key):
        return publishing.publish(Release("local", (part,)), tmp_path, public_key=public_key)

    publish(keys[1])
    made.engine.write_text("edited")
    write_json(made.index, read_json(made.index) | {"files": tree_digest(made.model)})
    publish(None)
    with pytest.raises(SlipwayError, match=r"edited: m_trt/1/model.plan.*Nothing was changed"):
        publish(keys[1])
