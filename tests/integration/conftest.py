"""Makes harness.py importable for the integration tests, and ways to a site's applications."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
# This process has the sanitizers' library by now.  Programs that are not ours (curl, nginx) must not get it: some
# deadlock with it.  harness.PRELOAD is for those that need it.
os.environ.pop("LD_PRELOAD", None)


@pytest.fixture(params=["direct", "nginx-tcp", "nginx-unix"])
def url(request, site):
    """In each way: where the module's site (sites.Site, its fixture `site`) is reached."""
    return site.url(request.param)


@pytest.fixture
def client(url):
    """An httpx client of that."""
    import sites

    with sites.client(url) as c:
        yield c
