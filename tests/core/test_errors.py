"""User errors: one line on stderr, exit code 3, no traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flamingo_jax.core.errors import UserError, exit_on_user_error


def test_user_error_is_one_line_and_exit_code_3() -> None:
    program = """
from flamingo_jax.core.errors import UserError, exit_on_user_error
@exit_on_user_error
def main(argv):
    raise UserError("no field 'lr'\\n  in the config;\\n did you mean 'learning_rate'?")
main([])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr == "error: no field 'lr' in the config; did you mean 'learning_rate'?\n"
    assert done.stdout == ""


def test_results_and_other_exceptions_pass_through() -> None:
    assert exit_on_user_error(lambda a, b: a + b)(1, b=2) == 3

    @exit_on_user_error
    def has_a_bug() -> None:
        raise KeyError("a bug keeps its traceback")

    with pytest.raises(KeyError):
        has_a_bug()


def test_user_error_is_no_value_error() -> None:
    # `except ValueError` around a library call must not swallow what the user has to read.
    assert not issubclass(UserError, ValueError)
