import json

from helpers.artifacts.configured import job_keys

from slipway.triton.server.container_programs import Image


def test_another_image_by_the_same_name_is_load_tested_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = tmp_path / "results/m/cpu/analysis/analysis.json"
    record.parent.mkdir(parents=True)
    here = {}
    monkeypatch.setattr("slipway.keys.job_keys.image_to_run", lambda name: here.get(name))

    def planned():
        triton = {"run": "container", "image": "mine", "release": "26.07"}
        return job_keys(triton=triton).load_test("m", "cpu").get("server_image_id")

    def measure(image_id):
        """Write the record of a load test that was planned now, and found this image."""
        content = {"key": {"server_image_id": planned()}, "server": {"image": "mine", "image_id": image_id}}
        record.write_text(json.dumps(content), encoding="utf-8")

    assert planned() is None
    measure("sha256:1")  # its job pulled it
    here["mine"] = Image("sha256:1", {})
    assert planned() is None, "it is not stale"
    here["mine"] = Image("sha256:2", {})
    assert planned() == "sha256:2"
    measure("sha256:2")
    assert planned() == "sha256:2"
