TESTS += $(check_PROGRAMS)
# The pytest files; each prints TAP through tests/pytest.sh.
PYTEST_FILES = $(filter %.py,$(TESTS))
EXTRA_DIST += tools/run.in tests/pytest.sh tests/pytest_tap.py $(PYTEST_FILES)

ALL_LOCAL += run

# The programs of the unit tests, without running them.
unit-programs: $(check_PROGRAMS)
.PHONY: unit-programs
dist_noinst_SCRIPTS = tools/check tools/cppcheck.h tools/lint tools/install-deps tools/quickstart .ci/run
