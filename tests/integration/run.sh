#!/bin/sh
# The integration tests, as TAP.
exec /bin/sh "${top_srcdir:?}/tests/pytest.sh" tests/integration
