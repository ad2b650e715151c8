"""Parsing the Snakefile stays cheap."""

from helpers.fresh_interpreter import printed

HEAVY = "{'torch', 'torchvision', 'openvino', 'onnxruntime', 'tensorrt', 'onnx', 'tritonclient'}"


def test_planning_imports_no_framework():
    code = (
        "from slipway.core import cli\nfrom slipway.keys import config, notices, validation\n"
        "from slipway.keys.job_keys import JobKeys\n"
        "from slipway.snakemake_hooks import rerun_journal\n"
        "resolved = validation.resolve(config.complete({'models': {'m': {}}, 'targets': {'cpu': {}}}))\n"
        "list(notices.notices(resolved))\n"
        "keys = JobKeys(resolved)\n"
        "keys.export_onnx('m'), keys.build_engine('cpu', 'fp32'), keys.benchmark('m', 'cpu'), keys.deploy_release()\n"
        f"print(*sorted(set(sys.modules) & {HEAVY}))"
    )
    assert printed(code) == ""
