"""predict.py asks real tritonservers that speak TLS."""

import pytest
from helpers.certificates import Authority
from helpers.predicting import predict, require_expected, served, to, wait_over_http

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def authority(folder):
    return Authority(folder, "authority")


@pytest.fixture(scope="module")
def stranger(folder):
    """Return another authority, which nobody should trust."""
    return Authority(folder, "stranger")


def tls_flags(authority, *more):
    certificate, key = authority.issue("triton.test")
    return (
        "--grpc-use-ssl=true",
        *(f"--grpc-server-cert={certificate}", f"--grpc-server-key={key}", f"--grpc-root-cert={authority.file}"),
        *more,
    )


@pytest.fixture(scope="module")
def tls_server(repository, folder, authority):
    """Return a live server that speaks TLS; its certificate is for triton.test."""
    with served(repository, folder / "tls", *tls_flags(authority)) as server:
        wait_over_http(server)
        yield server


@pytest.fixture(scope="module")
def mutual_server(repository, folder, authority):
    """Return a live server that speaks TLS with clients whose certificate the authority signed."""
    with served(repository, folder / "mutual", *tls_flags(authority, "--grpc-use-ssl-mutual=true")) as server:
        wait_over_http(server)
        yield server


def trusting(authority, *more):
    return ["--tls", "--ca", authority.file, "--server-name", "triton.test", "--retries", 1, *more]


def test_tls_answers_as_the_clear_does(tls_server, authority, pictures, expected):
    found, outcome = predict(to(tls_server, pictures, "--json", *trusting(authority)))
    outcome.succeeded()
    require_expected(found, expected)


def test_tls_mismatches_are_told(tls_server, authority, stranger, pictures):
    asked = to(tls_server, pictures, "--retries", 1)
    predict(asked)[1].refused("no Triton answers", "it speaks TLS. Add --tls")
    predict([*asked, "--tls"])[1].refused("its certificate is not trusted", "--ca")
    predict(to(tls_server, pictures, *trusting(stranger)))[1].refused("its certificate is not trusted", "--ca")
    predict([*asked, "--tls", "--ca", str(authority.file)])[1].refused(
        "its certificate is not for 127.0.0.1", "--server-name"
    )


def test_mutual_tls_answers_a_client_with_a_certificate(mutual_server, authority, pictures, expected):
    certificate, key = authority.issue("client")
    options = trusting(authority, "--certificate", certificate, "--key", key)
    found, outcome = predict(to(mutual_server, pictures, "--json", *options))
    outcome.succeeded()
    require_expected(found, expected)


def test_mutual_tls_mismatches_are_told(mutual_server, authority, stranger, pictures):
    predict(to(mutual_server, pictures, "--retries", 1))[1].refused("it speaks TLS. Add --tls")
    predict(to(mutual_server, pictures, *trusting(authority)))[1].refused("wants a client certificate", "--certificate")
    certificate, key = stranger.issue("intruder")
    options = trusting(authority, "--certificate", certificate, "--key", key)
    predict(to(mutual_server, pictures, *options))[1].refused(
        "does not accept the client certificate", str(certificate)
    )


def test_an_expired_certificate_is_told(repository, folder, authority, pictures, tmp_path):
    certificate, key = authority.issue("old.test", days=-1)
    flags = ("--grpc-use-ssl=true", f"--grpc-server-cert={certificate}", f"--grpc-server-key={key}")
    with served(repository, tmp_path, *flags, f"--grpc-root-cert={authority.file}") as server:
        wait_over_http(server)
        options = ["--tls", "--ca", authority.file, "--server-name", "old.test", "--retries", 0]
        predict(to(server, pictures, *options))[1].refused("its certificate has expired")
