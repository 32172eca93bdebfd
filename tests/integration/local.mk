# Real processes; every Python file here takes part, so that none is forgotten.
dist_check_SCRIPTS += %D%/run.sh
TESTS += %D%/run.sh
EXTRA_DIST += %D%/README $(wildcard $(srcdir)/%D%/*.py)
