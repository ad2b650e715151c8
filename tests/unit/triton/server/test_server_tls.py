"""TLS of the server on this machine: which PEM files will do, how the others are told, and what goes to Triton."""

import shlex
from dataclasses import asdict
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from helpers.certificates import Authority, write_key

from deploy import parse_arguments
from slipway.core.errors import SlipwayError
from slipway.deploy.local.switching import takes_versions
from slipway.keys.config import complete
from slipway.keys.job_keys import JobKeys
from slipway.keys.validation import resolve
from slipway.triton.client.endpoint import endpoint_of
from slipway.triton.client.ports import Ports
from slipway.triton.server.tls import server_tls, tls_of


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("pem"), "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.mark.parametrize(
    ("host", "hosts", "known_as"),
    [
        ("127.0.0.1", ["triton.test", "localhost"], "localhost"),
        ("localhost", ["localhost"], "localhost"),
        ("a.triton.test", ["*.triton.test"], "a.triton.test"),
        ("0.0.0.0", ["triton.test", "localhost"], "triton.test"),
        ("::", ["*.triton.test"], "server.triton.test"),
    ],
)
def test_the_name_that_clients_expect_is_one_of_the_certificates(authority, host, hosts, known_as):
    assert server_tls(host, *authority.issue("server", *hosts)).server_name == known_as


REFUSED = {
    "expired": (lambda a, s: a.issue("old", "localhost", days=-1), "`deploy.tls.certificate` .*old.pem has expired"),
    "other name": (lambda a, s: a.issue("b", "triton.test"), r"b.pem is for triton.test, but .* at 127\.0\.0\.1"),
    "other key": (lambda a, s: (a.issue("b")[0], a.issue("c")[1]), "b.pem and deploy.tls.key .*c.key are no pair"),
    "no key": (lambda a, s: (a.issue("b")[0], None), "`deploy.tls` needs `certificate` and `key`"),
    "no certificate": (lambda a, s: (None, a.issue("b")[1]), "needs `certificate` and `key`"),
    "no file": (lambda a, s: (a.folder / "x.pem", a.issue("b")[1]), "deploy.tls.certificate .*x.pem is no file"),
    "a key twice": (lambda a, s: (a.issue("b")[1],) * 2, "are no pair in PEM"),
    "password": (
        lambda a, s: (a.issue("b")[0], write_key(a.folder / "p.key", ec.generate_private_key(ec.SECP256R1()), b"p")),
        "p.key are no pair in PEM, without a password",
    ),
    "authority alone": (
        lambda a, s: (*a.issue("b", "localhost"), a.file),
        "`deploy.tls.client_ca`, `deployer_certificate` and `deployer_key` are needed together",
    ),
    "no authority": (
        lambda a, s: (*a.issue("b", "localhost"), a.issue("c")[1], *a.issue("d")),
        "deploy.tls.client_ca .*c.key holds no certificate",
    ),
    "another authority's": (
        lambda a, s: (*a.issue("b", "localhost"), a.file, *s.issue("intruder")),
        "`deploy.tls.deployer_certificate` .*intruder.pem was not signed by `deploy.tls.client_ca`",
    ),
    "expired deployer": (
        lambda a, s: (*a.issue("b", "localhost"), a.file, *a.issue("c", days=-1)),
        "`deploy.tls.deployer_certificate` .*c.pem has expired",
    ),
}


@pytest.mark.parametrize(("made", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_files_that_will_not_do_are_told_in_a_sentence(authority, stranger, made, sentence):
    with pytest.raises(SlipwayError, match=sentence) as caught:
        server_tls("127.0.0.1", *made(authority, stranger))
    assert str(caught.value).endswith("Nothing was changed.")
    assert "\n" not in str(caught.value)


def test_what_triton_is_told_and_what_clients_trust(authority):
    certificate, key = authority.issue("server", "triton.test")
    own = authority.issue("deployer")
    ports = Ports(1, 2, 3, "0.0.0.0", server_tls("0.0.0.0", certificate, key, authority.file, *own))
    flags = ports.flags()
    addresses = ["--http-address=127.0.0.1", "--grpc-address=0.0.0.0", "--metrics-address=127.0.0.1"]
    assert [flag for flag in flags if "-address=" in flag] == addresses
    assert flags[-5:] == [
        "--grpc-use-ssl=true",
        f"--grpc-server-cert={certificate}",
        f"--grpc-server-key={key}",
        "--grpc-use-ssl-mutual=true",
        f"--grpc-root-cert={authority.file}",
    ]
    trusted = endpoint_of(ports).tls
    assert (trusted.ca, trusted.certificate, trusted.key, trusted.server_name) == (certificate, *own, "triton.test")
    assert Ports.of(asdict(ports)) == ports


def test_a_renewed_certificate_starts_another_server(authority, tmp_path):
    certificate, key = authority.issue("server", "localhost")
    ports = Ports(1, 2, 3, tls=server_tls("127.0.0.1", certificate, key))
    place = SimpleNamespace(state=tmp_path, identity={"program": "tritonserver"})
    running = {"listening": asdict(ports), "identity": dict(place.identity)}
    assert takes_versions(running, place, ports)
    authority.issue("server", "localhost")
    renewed = ports.tls.as_they_are_now("127.0.0.1")
    assert renewed.certificate == ports.tls.certificate
    assert not takes_versions(running, place, Ports(1, 2, 3, tls=renewed))


def test_the_plan_hands_the_files_on_and_notices_another(authority, tmp_path):
    certificate, key = authority.issue("server", "localhost")
    tls = {"certificate": str(certificate), "key": str(key)}

    def planned():
        return JobKeys(
            resolve(complete({"models": {"m": {}}, "targets": {"cpu": {}}, "deploy": {"tls": dict(tls)}}))
        ).deploy_release()

    settings = planned()
    arguments = parse_arguments(["--results", "x", *shlex.split(str(settings))])
    assert tls_of(arguments) == server_tls("127.0.0.1", certificate, key)
    authority.issue("server", "localhost")
    assert planned() != settings
    with pytest.raises(SlipwayError, match="changed since this job was planned"):
        tls_of(arguments)
    tls["key"] = str(authority.file)
    with pytest.raises(SlipwayError, match="are no pair in PEM"):
        planned()
    tls["key"] = "nowhere.key"
    with pytest.raises(SlipwayError, match=r"`deploy\.tls\.key` is 'nowhere\.key', which does not exist"):
        planned()


def test_without_tls_nothing_listens_elsewhere_than_on_this_machine():
    config = complete({"models": {"m": {}}, "targets": {"cpu": {}}})
    assert config["deploy"]["host"] == "127.0.0.1"
    assert not any(config["deploy"]["tls"].values())
    listening = [flag for flag in Ports(1, 2, 3).flags() if "address" in flag]
    assert [flag.partition("=")[2] for flag in listening] == ["127.0.0.1"] * 3
