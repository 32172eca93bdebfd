/* A fork of the application: the child is no worker. */
#ifndef HB_WORKER_FORK_H
#define HB_WORKER_FORK_H

#include "py/server.h"

/* arg is the worker. */
void hb_worker_fork(void *arg, enum hb_py_fork moment);

#endif
