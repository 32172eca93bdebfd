TESTS += $(check_PROGRAMS)
EXTRA_DIST += tools/run.in

# The programs of the unit tests, without running them.
unit-programs: $(check_PROGRAMS)
.PHONY: unit-programs
dist_noinst_SCRIPTS = tools/check tools/lint tools/install-deps tools/quickstart .ci/run
