"""One companion for the tests that do not harm it, and this process linked to it."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from companion import Companion  # noqa: E402

from hornbeam_erlang import _hornbeam, state_delete, state_keys  # noqa: E402


@pytest.fixture(scope="session")
def companion():
    with Companion() as c:
        _hornbeam.configure(c.link, "direct", "client")
        yield c


@pytest.fixture
def state(companion):
    """Leaves no key behind."""
    yield companion
    for key in state_keys():
        state_delete(key)
