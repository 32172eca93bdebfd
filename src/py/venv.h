/* Virtual environments, as pyvenv.cfg describes them. */
#ifndef HB_PY_VENV_H
#define HB_PY_VENV_H

#include "common/error.h"

/*
 * Checks that dir is a virtual environment of this version ("3.11") and
 * returns the path of its interpreter, owned; NULL with HB_ERROR_CONFIG.
 */
char *hb_py_venv_program(const char *dir, const char *version, struct hb_error *err) HB_WARN_UNUSED;

#endif
