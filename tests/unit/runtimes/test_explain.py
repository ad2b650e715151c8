from types import SimpleNamespace

from slipway.runtimes.tensorrt import explain

TRT = SimpleNamespace(__version__="10.13.3.9")
OPTIONS = {"workspace_mb": 2048, "profiles": [{"min": 1, "opt": 8, "max": 64}]}


class ParserError:
    """An error as the ONNX parser of TensorRT 8.5 reports it."""

    def __init__(self, node, desc):
        self._node, self._desc = node, desc

    def node(self):
        return self._node

    def desc(self):
        return self._desc

    def code(self):
        return "UNSUPPORTED_NODE"


class NamedParserError(ParserError):
    """The same of TensorRT 10, which also names the node and its operator."""

    def node_name(self):
        return "/head/Mystery"

    def node_operator(self):
        return "Mystery"


def test_an_unknown_operator_is_named_with_its_node():
    words = explain.parser_errors(TRT, "m.onnx", [NamedParserError(12, "No importer registered for op: Mystery")])
    assert "node 12 '/head/Mystery' (Mystery): No importer registered for op: Mystery" in words


def test_an_older_parser_gives_the_nodes_number():
    words = explain.parser_errors(TRT, "m.onnx", [ParserError(12, "No importer registered for op: Mystery")])
    assert "node 12: No importer registered" in words


def test_a_truncated_file_is_called_that():
    words = explain.parser_errors(TRT, "m.onnx", [ParserError(-1, "Failed to parse the ONNX model.")])
    assert "m.onnx: truncated or not ONNX" in words


def test_too_little_memory_says_how_much_and_what_to_lower():
    said = ["[virtualMemoryBuffer.cpp::resizePhysical] OutOfMemory (requested size: 8589934592)"]
    words = explain.build_failure(said, OPTIONS)
    assert "8192 MiB" in words
    assert "`tensorrt.workspace_mb` (now 2048)" in words
    assert "(now 64)" in words


def test_no_kernel_says_which_settings_hold_it_back():
    words = explain.build_failure(["Could not find any implementation for node conv1."], OPTIONS)
    assert "`tensorrt.workspace_mb`" in words
    assert "`tensorrt.tactic_sources`" in words
    assert "refit" not in words


def test_engines_that_take_new_weights_find_fewer_kernels():
    words = explain.build_failure(["Could not find any implementation for node x."], OPTIONS | {"refit": True})
    assert "or set `tensorrt.refit: false`" in words


def test_an_unknown_failure_gives_the_builders_own_words():
    assert "Internal Error (something new)" in explain.build_failure(["Internal Error (something new)"], OPTIONS)


def test_an_engine_that_does_not_load_says_why_that_may_be():
    words = explain.load_failure(TRT, "m.trt", ["Serialization assertion stdVersionRead == kVERSION failed"])
    assert "truncated, or built by another version or for another GPU" in words
    assert "stdVersionRead" in words
