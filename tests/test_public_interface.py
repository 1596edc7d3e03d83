"""What `import rmeval` gives."""

import subprocess
import sys

import pytest

import rmeval


@pytest.mark.parametrize("name", rmeval.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    assert getattr(rmeval, name).__doc__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_modle'"):
        _ = rmeval.load_modle


def test_importing_rmeval_loads_no_torch() -> None:
    code = "import sys, rmeval; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_error_of_ours_can_be_caught_as_one() -> None:
    from rmeval import errors

    ours = [
        value
        for value in vars(errors).values()
        if getattr(value, "__module__", "") == errors.__name__
    ]
    kinds = [v for v in ours if isinstance(v, type) and issubclass(v, BaseException)]
    assert len(kinds) >= 7
    assert all(issubclass(kind, rmeval.RmevalError) for kind in kinds)
