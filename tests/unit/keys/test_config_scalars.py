import pytest

from slipway.core.errors import SlipwayError
from slipway.core.schema import SCHEMA
from slipway.keys.config_scalars import require_read_as_written

# (what is written, its key, what YAML reads it as, what to write)
MISREAD = [
    ("load_test:\n  p99_limit_ms: 1e3", "load_test.p99_limit_ms", "text", "1000.0"),
    ("accuracy: {limits: {fp32: {max_relative_error: 1e-3}}}", "max_relative_error", "text", "0.001"),
    ("accuracy: {limits: {fp32: {max_relative_error: .5e3}}}", "max_relative_error", "text", "500.0"),
    ("accuracy: {limits: {fp32: {max_relative_error: 1.5e3}}}", "max_relative_error", "text", "1500.0"),
    ("models: {m: {preprocess: {mean: [4e-1, 0.4, 0.4]}}}", "models.m.preprocess.mean", "text", "0.4"),
    ("deploy: {http_port: 8e3}", "deploy.http_port", "text", "8000"),
    ("benchmark: {batch_sizes: [08]}", "benchmark.batch_sizes", "text", "8"),
    ("models: {m: {preprocess: {resize: 072}}}", "models.m.preprocess.resize", "58", "72"),
    ("load_test: {concurrency: [1, 010]}", "load_test.concurrency", "8", "10"),
    ("deploy: {ready_timeout_s: 1:30}", "deploy.ready_timeout_s", "90", "90 if that is meant"),
    ("deploy: {grpc_port: 8:01}", "deploy.grpc_port", "481", "481 if that is meant"),
    ("triton: {release: 25.10}", "triton.release", "25.1", '"25.10" in quotes'),
    ("preflight: {compute_capability: 8.9}", "preflight.compute_capability", "8.9", '"8.9" in quotes'),
    ("image: no", "image", "false", '"no" in quotes'),
    ("image: 1_000", "image", "1000", '"1_000" in quotes'),
    ("image: 2026-11-28", "image", "a date", '"2026-11-28" in quotes'),
    ("image: 0x1F", "image", "31", '"0x1F" in quotes'),
    ("models: {on: {}}", "models.on", "true", '"on" in quotes'),
    ("targets: {012: {}}", "targets.012", "10", '"012" in quotes'),
    ("targets: {cpu: {precisions: [off]}}", "targets.cpu.precisions", "false", '"off" in quotes'),
    ("targets: {l4: {tensorrt: {version: 2026-01-02}}}", "targets.l4.tensorrt.version", "a date", "in quotes"),
    ("models: {m: {arguments: {rate: 1e-3}}}", "models.m.arguments.rate", "text", "0.001"),
    ("models: {m: {arguments: {num_classes: 012}}}", "models.m.arguments.num_classes", "10", '12, or "012" in quotes'),
    ("models: {m: {arguments: {time: 12:30}}}", "models.m.arguments.time", "750", '"12:30" in quotes'),
    ("models: {m: {arguments: {country: no}}}", "models.m.arguments.country", "false", 'false, or "no" in quotes'),
    ("models: {m: {arguments: {a: [{b: On}]}}}", "models.m.arguments.a.b", "true", 'true, or "On" in quotes'),
]


@pytest.mark.parametrize(("text", "key", "read", "advice"), MISREAD, ids=[text for text, *_ in MISREAD])
def test_what_yaml_reads_otherwise_than_it_is_written_is_told_in_a_sentence(tmp_path, text, key, read, advice):
    path = tmp_path / "mine.yaml"
    path.write_text(f"# Mine.\n{text}\n")
    with pytest.raises(SlipwayError) as caught:
        require_read_as_written(path)
    said = str(caught.value)
    assert f"{key}`" in said
    assert f"which YAML reads as {read}; write " in said
    assert said.endswith(advice)
    assert f" in line {text.count(chr(10)) + 2} of {path} is written " in said


@pytest.mark.parametrize(
    "text",
    [
        "load_test: {p99_limit_ms: 1.0e+3}",
        "load_test: {p99_limit_ms: 1_000}",
        "load_test: {p99_limit_ms: .5e+3}",
        "models: {a: &a {input: uint8}, b: {<<: *a}}",
        "load_test: {p99_limit_ms: 1000, memory_limit_mb: null}",
        "accuracy: {limits: {fp32: {max_relative_error: 0.001}}}",
        "tensorrt: {tf32: yes, refit: off}",
        'triton: {release: "25.10"}',
        "deploy: {http_port: 0x1F90}",
        "image: 1e-3.jpg",
        "image: ~",
        "image: '1e-3'",
        "models: {resnet18_1e3: {weights: 1e3.pth}}",
        "models: {m: {arguments: {num_classes: 12, pretrained: true, none: null, name: abc}}}",
        '{"load_test": {"p99_limit_ms": 1e3}}',
        "unknown: {to: [the, schema]}",
    ],
)
def test_what_is_read_as_it_is_written_is_left_alone(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    require_read_as_written(path)


def test_the_default_configuration_is_read_as_it_is_written():
    require_read_as_written(SCHEMA.parents[1] / "config.yaml")
