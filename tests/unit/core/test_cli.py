import signal
import subprocess
import sys

import pytest
from helpers.fresh_interpreter import printed

from slipway.core.cli import printable
from slipway.keys.code_hash import SCRIPTS

PROGRAM = """
import os, subprocess, sys
sys.path.insert(0, {scripts!r})
from slipway.core.errors import SlipwayError
from slipway.core.cli import parser, progress, run

def main(arguments):
    progress("  step one")
    print("for the log")
    print("also for the log", file=sys.stderr)
    os.write(1, b"from a native library\\n")
    subprocess.run(["sh", "-c", "echo from a child; echo from a child, too >&2"], check=True)
{body}

arguments = parser("A program.")
arguments.add_argument("--log-level")
run(main, arguments.parse_args())
"""


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a program whose main ends with some statements."""

    def started(body: str, *options: str) -> subprocess.CompletedProcess:
        path = tmp_path / "program.py"
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        path.write_text(PROGRAM.format(scripts=str(SCRIPTS), body=lines), encoding="utf-8")
        return subprocess.run([sys.executable, str(path), *options], capture_output=True, text=True, cwd=tmp_path)

    return started


@pytest.fixture
def log(tmp_path):
    return tmp_path / "logs" / "deep" / "program.log"


def test_progress_is_in_terminal_and_log(run, log):
    ended = run("pass", "--log", str(log))
    assert ended.returncode == 0
    assert ended.stderr == "  step one\n"
    assert ended.stdout == ""
    assert log.read_text(encoding="utf-8").count("  step one\n") == 1


def test_the_log_has_everything(run, log):
    run("pass", "--log", str(log))
    text = log.read_text(encoding="utf-8")
    for line in ("for the log", "also for the log", "from a native library", "from a child", "from a child, too"):
        assert f"{line}\n" in text


def test_without_a_log_everything_is_on_the_terminal(run):
    ended = run("pass")
    assert ended.returncode == 0
    assert ended.stderr.count("step one") == 1
    assert "for the log" in ended.stdout
    assert "also for the log" in ended.stderr


def test_an_error_is_on_the_terminal_and_in_the_log(run, log):
    ended = run('raise SlipwayError("the cup is empty; fill it")', "--log", str(log))
    assert ended.returncode == 1
    assert ended.stderr == "  step one\nerror: the cup is empty; fill it\n"
    assert ended.stdout == ""
    text = log.read_text(encoding="utf-8")
    assert "error: the cup is empty; fill it\n" in text
    assert "Traceback" not in text


def test_an_error_without_a_log(run):
    ended = run('raise SlipwayError("the cup is empty; fill it")')
    assert ended.returncode == 1
    assert ended.stderr.count("error: the cup is empty; fill it\n") == 1
    assert "Traceback" not in ended.stderr


def test_what_nobody_expected_is_a_sentence_with_the_story_in_the_log(run, log):
    ended = run("1 / 0", "--log", str(log))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("error: unexpected ZeroDivisionError: division by zero")
    assert "Traceback" not in ended.stderr
    text = log.read_text(encoding="utf-8")
    assert "Traceback" in text
    assert "1 / 0" in text


def test_an_error_of_the_operating_system_is_named(run, log):
    ended = run('open("no/such/file")', "--log", str(log))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(
        "error: a file or folder is missing (No such file or directory: no/such/file); put it there, or run"
    )


def test_the_number_of_an_error_reaches_nobody(run, log):
    ended = run(
        "from slipway.core.errors import SlipwayError\ntry:\n    open('no/such/file')\nexcept OSError as error:\n"
        "    raise SlipwayError(f'it cannot be read: {error}')",
        "--log",
        str(log),
    )
    assert ended.stderr.splitlines()[-1] == "error: it cannot be read: No such file or directory: 'no/such/file'"


def test_a_full_disk_is_named(run, log):
    ended = run('with open("/dev/full", "w") as full:\n    full.write("x")', "--log", str(log))
    assert ended.returncode == 1
    assert "the disk is full" in ended.stderr.splitlines()[-1]
    assert "free some space" in ended.stderr.splitlines()[-1]


def test_a_second_run_starts_a_new_log(run, log):
    run('print("first run")', "--log", str(log))
    run('print("second run")', "--log", str(log))
    text = log.read_text(encoding="utf-8")
    assert "second run" in text
    assert "first run" not in text


def test_letters_beyond_ascii_are_no_obstacle(run, log):
    ended = run('progress("naïve 雪")', "--log", str(log))
    assert ended.returncode == 0
    assert "naïve 雪\n" in log.read_text(encoding="utf-8")


def test_a_shortened_option_is_refused(run):
    ended = run("pass", "--log-lev", "x")
    assert ended.returncode == 2
    assert "--log-lev" in ended.stderr


def test_help_shows_defaults_and_the_log(run):
    ended = run("pass", "--help")
    assert ended.returncode == 0
    assert "--log" in ended.stdout


def test_a_program_that_is_terminated_takes_back_what_it_began():
    code = """
import os, signal
from slipway.core.cli import unwind_when_terminated
unwind_when_terminated()
try:
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
except SystemExit as end:
    print(end)
"""
    assert printed(code) == str(128 + signal.SIGTERM)


@pytest.mark.parametrize("name", ["logs", "logs/deep"])
def test_a_file_where_the_logs_are_to_lie_is_told_in_a_sentence(run, log, tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("notes")
    ended = run("pass", "--log", str(log))
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: a file ")
    assert str(tmp_path / name) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_ctrl_c_shows_no_traceback(run, log):
    ended = run("raise KeyboardInterrupt", "--log", str(log))
    assert ended.returncode == 130
    assert (
        ended.stderr.splitlines()[-1]
        == "error: interrupted; run the same command again to continue with the unfinished work"
    )
    assert "Traceback" not in log.read_text(encoding="utf-8")


def test_a_full_disk_shows_no_traceback_in_the_log_either(run, log):
    run('with open("/dev/full", "w") as full:\n    full.write("x")', "--log", str(log))
    assert "Traceback" not in log.read_text(encoding="utf-8")


def test_what_is_made_under_any_umask_is_written_by_its_owner_alone(run, tmp_path):
    body = 'os.umask(0)\nrun(lambda _: (open("made", "w"), os.mkdir("folder")), arguments)'
    script = f"globals()['arguments'] = parser('Again.').parse_args([])\n{body}"
    ended = run(script)
    assert ended.returncode == 0
    for name in ("made", "folder"):
        assert (tmp_path / name).stat().st_mode & 0o022 == 0


def test_control_characters_never_reach_the_terminal(run):
    ended = run(r'progress("class \x1b[2J")')
    assert "\x1b" not in ended.stderr
    assert r"class \x1b[2J" in ended.stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;a title\x07", r"\x1b]0;a title\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("over\rwritten\x08", r"over\rwritten\x08"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("nul\x00", r"nul\x00"),
        ("Straße, naïve 雪 🐕\tand\nanother line", "Straße, naïve 雪 🐕\tand\nanother line"),
    ],
)
def test_no_text_from_elsewhere_moves_the_terminals_cursor_or_colours(text, shown):
    assert printable(text) == shown
