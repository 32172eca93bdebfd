/* The worker's asyncio loop as a module that a plain Python can load: for the tests. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "py/aio.h"

PyMODINIT_FUNC PyInit__hornbeam_loop(void);

PyMODINIT_FUNC
PyInit__hornbeam_loop(void)
{
	return hb_aio_module();
}
