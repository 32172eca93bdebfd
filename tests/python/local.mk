# The tests of the Python module, and the runner of all pytest tests:
# `$(SHELL) $(srcdir)/tests/pytest.sh DIR` prints TAP.
dist_check_SCRIPTS += %D%/run.sh
TESTS += %D%/run.sh
EXTRA_DIST += tests/pytest.sh tests/pytest_tap.py \
	%D%/companion.py %D%/conftest.py %D%/test_processes.py %D%/test_state.py
