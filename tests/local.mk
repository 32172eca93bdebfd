TESTS += $(check_PROGRAMS)
EXTRA_DIST += tools/run.in
