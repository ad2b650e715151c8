"""Where weights come from: a checkpoint in storage, and a first entry for a checkpoint."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from helpers.workplace import WEIGHTS, Workplace, random_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.long]


class Web:
    """A web server of a folder; `downloads` are the paths that were fetched whole."""

    def __init__(self, folder):
        self.folder, self.downloads = folder, []
        folder.mkdir()
        web = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self):
                web.downloads.append(self.path)
                super().do_GET()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


def test_a_checkpoint_in_storage_is_fetched_once_and_made_anew_when_another_is_uploaded(tmp_path):
    web = Web(tmp_path / "web")
    place = Workplace(tmp_path)
    random_checkpoint(web.folder / "best.pth", seed=1)
    place.configure("models.tiny.weights", f"http://127.0.0.1:{web.server.server_port}/best.pth")
    try:
        place.snakemake(WEIGHTS).succeeded()
        first = place.path(WEIGHTS).read_bytes()
        assert "Nothing to be done" in place.snakemake("-n", WEIGHTS).succeeded().said
        random_checkpoint(web.folder / "best.pth", seed=2)
        told = place.snakemake("-n", WEIGHTS).succeeded().said
        assert "weights in storage" in told
        assert len(web.downloads) == 1
        place.snakemake(WEIGHTS).succeeded()
        assert place.path(WEIGHTS).read_bytes() != first
        (web.folder / "best.pth").unlink()
        place.snakemake("-n", WEIGHTS).refused("`models.tiny.weights`", "best.pth could not be read: it does not exist")
    finally:
        web.stop()
    assert "the copy that was fetched at" in place.snakemake("-n", WEIGHTS).succeeded().said


def test_a_first_entry_is_planned_as_it_is(tmp_path):
    place = Workplace(tmp_path)
    random_checkpoint(place.path("best.pth"), seed=1, num_classes=7)
    place.program("new_model", "best.pth", "--output", "mine.yaml").succeeded()
    planned = place.snakemake("-n", "deploy", "--configfile", "mine.yaml").succeeded().said
    assert "Fetching the weights of best" in planned
