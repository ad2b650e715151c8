"""Names that a server which works in a folder can be given, and what its children's environment is without."""

import os
import tempfile

import pytest
from helpers.workplace import CLOSED_PROXIES, ODD

from slipway.core.errors import SlipwayError
from slipway.load_test.model_analyzer import without_proxies
from slipway.triton.server import plain_paths
from slipway.triton.server.plain_paths import is_plain, listed, seen_from, temporary_folder


@pytest.mark.parametrize(
    "path", ["/a b", "/$(touch owned)", "/a;b", "/a'b", '/a"b', "/ä", "/a:b", "/a\nb", "/~", "/*", ""]
)
def test_what_means_more_than_itself_somewhere_is_not_plain(path):
    assert not is_plain(path)
    assert is_plain("/home/user_1/slipway-0.2,b/results/.server@x+y=z%")


def test_a_folder_below_or_beside_is_named_from_where_the_server_works(tmp_path):
    server = tmp_path / ODD / "results" / ".server"
    repository = tmp_path / ODD / "results" / "tiny" / "repository"
    for folder in (server, repository):
        folder.mkdir(parents=True)
    assert seen_from(server, server / "models") == "models"
    assert seen_from(server, repository) == "../tiny/repository"


def test_one_whose_name_a_shell_would_read_is_reached_by_a_link_that_stays_the_same(tmp_path):
    server, repository = tmp_path / "server", tmp_path / ODD
    for folder in (server, repository):
        folder.mkdir()
    name = seen_from(server, repository)
    assert is_plain(name)
    assert (server / name).resolve() == repository
    assert seen_from(server, repository) == name
    assert len(list((server / "links").iterdir())) == 1


def test_a_list_of_folders_is_given_no_name_that_would_part_in_it(tmp_path):
    server, libraries = tmp_path / "server", tmp_path / "a:b"
    for folder in (server, libraries):
        folder.mkdir()
    assert listed(server, tmp_path / "a b") == str(tmp_path / "a b")
    assert not set(":;$") & set(listed(server, libraries))
    assert (server / listed(server, libraries)).resolve() == libraries


def test_temporary_files_go_where_triton_can_be_told_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert temporary_folder() == tmp_path
    (tmp_path / ODD).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ODD))
    assert str(temporary_folder()) in ("/var/tmp", "/tmp")
    monkeypatch.setattr(plain_paths, "_USUAL_TEMPORARY", (str(tmp_path / "gone"),))
    with pytest.raises(SlipwayError, match="set TMPDIR to a folder whose path has only letters"):
        temporary_folder()


def test_a_program_that_asks_a_server_here_knows_no_proxy():
    kept = {"PATH": os.environ["PATH"], "no_proxy": "example.org"}
    assert without_proxies(kept | CLOSED_PROXIES) == kept
