import pytest

from slipway.core.errors import SlipwayError
from slipway.storage.addresses import file_name, is_address, local_path, require_no_secret

SECRETS = {
    "a password": "sftp://me:hunter2@host/best.pth",
    "a password of digits": "s3://me:12345@bucket/best.pth",
    "an access key with slashes": "s3://AKIA:hunter2/x/y@bucket/best.pth",
    "a token as the user": "https://hunter2@host/best.pth",
    "a signed query of S3": "https://bucket.s3.amazonaws.com/best.pth?X-Amz-Signature=hunter2&X-Amz-Expires=9",
    "a signed query of Google": "https://storage.googleapis.com/b/best.pth?X-Goog-Signature=hunter2",
    "a signed query of Azure": "https://a.blob.core.windows.net/c/best.pth?sv=2024&sig=hunter2",
    "a token in the query": "https://host/best.pth?download=1&access_token=hunter2",
}


@pytest.mark.parametrize("address", SECRETS.values(), ids=SECRETS)
def test_an_address_with_a_secret_is_refused_and_the_secret_not_shown(address):
    with pytest.raises(SlipwayError, match=r"`models\.m\.weights` holds a password, token or signature") as caught:
        require_no_secret("models.m.weights", address)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/run42/best.safetensors",
        "https://host:8443/a@b/best.pth?download=true",
        "docker://registry:5000/slipway@sha256:0123",
        "sftp://me@host/best.pth",
        "hf://org/model@main/model.safetensors",
        "runs/a:b@c.pth",
    ],
)
def test_an_address_without_a_secret_is_taken(address):
    require_no_secret("weights", address)


def test_a_file_of_this_machine_is_no_storage_however_it_is_written():
    assert is_address("s3://bucket/best.pth")
    assert is_address("https://host/best.pth")
    assert not is_address("file:///data/best.pth")
    assert not is_address("runs/best.pth")
    assert local_path("file:///data/best.pth") == "/data/best.pth"


def test_a_file_has_its_name_in_storage_without_the_query_of_a_web_server():
    assert file_name("https://host/run42/best.pth?download=true") == "best.pth"
    assert file_name("s3://bucket/run42/what?.pth") == "what?.pth"
