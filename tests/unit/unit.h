/* What every unit test defines for the one main in main.c. */
#ifndef HB_TESTS_UNIT_H
#define HB_TESTS_UNIT_H

#include <check.h>

Suite *unit_suite(void);

#endif
