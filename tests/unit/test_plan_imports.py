"""Parsing the Snakefile stays cheap."""

from helpers.fresh_interpreter import printed

HEAVY = "{'torch', 'torchvision', 'openvino', 'onnxruntime', 'tensorrt', 'onnx', 'tritonclient'}"


def test_planning_imports_no_framework():
    code = (
        "from slipway import program\nfrom slipway.planning import config, decisions, journal, plan, sources\n"
        "found = plan.Plan(config.complete({'models': {'m': {}}, 'targets': {'cpu': {}}}))\n"
        "found.notices(), found.onnx('m'), found.engine('cpu', 'fp32'), found.benchmark('m', 'cpu')\n"
        "found.local_server()\n"
        f"print(*sorted(set(sys.modules) & {HEAVY}))"
    )
    assert printed(code) == ""
