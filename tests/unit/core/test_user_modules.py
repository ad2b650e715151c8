"""The user's code is imported by its reference, and a module of the workflow is never taken for it."""

import pytest

from slipway.core.user_modules import import_users, users_modules_first


def test_a_dotted_name_is_found_in_the_users_module(tmp_path, monkeypatch):
    (tmp_path / "own_code_of_a_user.py").write_text("class Data:\n    samples = len\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with users_modules_first():
        assert import_users("own_code_of_a_user:Data.samples") is len


def test_a_program_of_the_workflow_is_no_module_of_the_user():
    with users_modules_first(), pytest.raises(ModuleNotFoundError, match="No module named 'evaluate_checkpoint'"):
        import_users("evaluate_checkpoint:main")
