"""A checkpoint on a web server: fetched, found stale, and refused with the reason."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from slipway.core.errors import SlipwayError
from slipway.storage.local_copies import fetched, planned


@pytest.fixture
def web(tmp_path):
    """Serve a folder over HTTP; return (the folder, its address, the handler)."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        dated = True

        def do_HEAD(self):
            if "private" in self.path:
                self.send_error(403)
            else:
                super().do_HEAD()

        def do_GET(self):
            if "private" in self.path:
                self.send_error(403)
            else:
                super().do_GET()

        def send_header(self, name, value):
            if self.dated or name != "Last-Modified":
                super().send_header(name, value)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}", Handler
    server.shutdown()
    server.server_close()


def test_a_checkpoint_of_a_web_server_is_fetched_and_a_new_one_is_stale(web, tmp_path):
    folder, root, _ = web
    (folder / "best.pth").write_bytes(b"first")
    address = f"{root}/best.pth?download=true"
    before = planned(address, tmp_path / "fetched").fingerprint
    assert fetched(address, before, tmp_path / "fetched").read_bytes() == b"first"
    (folder / "best.pth").write_bytes(b"second")
    assert planned(address, tmp_path / "fetched").fingerprint != before


def test_what_a_web_server_refuses_is_told_by_its_reason(web, tmp_path):
    root = web[1]
    with pytest.raises(SlipwayError, match=r"lost\.pth could not be read: it does not exist"):
        planned(f"{root}/lost.pth", tmp_path)
    with pytest.raises(SlipwayError, match=r"private\.pth could not be read: permission denied"):
        planned(f"{root}/private.pth", tmp_path)
    closed = root.replace(root.rpartition(":")[2], "9")
    with pytest.raises(SlipwayError, match=r"could not be read: .*that it can be reached.*no copy of it"):
        planned(f"{closed}/best.pth", tmp_path)


def test_a_web_server_that_does_not_tell_files_apart_is_refused(web, tmp_path):
    folder, root, handler = web
    handler.dated = False
    (folder / "best.pth").write_bytes(b"first")
    with pytest.raises(SlipwayError, match=r"neither ETag nor Last-Modified, .*download it and set `weights`"):
        planned(f"{root}/best.pth", tmp_path)
