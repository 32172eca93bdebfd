/* The main of every unit test: runs its suite and prints TAP. */
#include <stdlib.h>

#include "unit.h"

int
main(void)
{
	SRunner *runner;
	int failed;

	/* Seconds for a test, instead of four: it fails what hangs, on a machine however busy. */
	setenv("CK_DEFAULT_TIMEOUT", "300", 0);
	runner = srunner_create(unit_suite());
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
