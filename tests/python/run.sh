#!/bin/sh
# The tests of the Python module, as TAP.
exec /bin/sh "${top_srcdir:?}/tests/pytest.sh" tests/python
