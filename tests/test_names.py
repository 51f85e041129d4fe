"""The public names are what they say, in order, and cost nothing until they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import chinwag


def test_all_is_sorted_and_true():
    assert sorted(chinwag.__all__) == chinwag.__all__
    for name in chinwag.__all__:
        assert getattr(chinwag, name) is not None
        assert name in dir(chinwag)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = chinwag.Nonsense


def test_importing_the_package_imports_nothing():
    code = (
        "import sys; before = set(sys.modules); import chinwag; "
        "print(sorted(set(sys.modules) - before))"
    )
    shown = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "['__future__', 'chinwag']"
