/* Inside the py room: the asyncio loop of a worker, for what ASGI does with it. */
#ifndef HB_PY_LOOP_H
#define HB_PY_LOOP_H

#include "py/state.h"

int hb_py_loop_init(struct hb_py *py);
/* The loop, borrowed; NULL while none runs. */
PyObject *hb_py_loop(struct hb_py *py);
/*
 * Starts a coroutine (borrowed) as a task in a fresh context.  Its first step
 * has run when this returns, so the task may be done; SystemExit and
 * KeyboardInterrupt are in the task like any exception.  Returns owned: keep
 * the reference until the task is done, asyncio's own is weak.  Inside
 * another task's step the first step waits for the next pass.
 */
PyObject *hb_py_loop_task(struct hb_py *py, PyObject *coro);
/* A new asyncio.Future of the loop. */
PyObject *hb_py_loop_future(struct hb_py *py);

/* In a forked child: the event base is the parent's. */
void hb_py_loop_forked(struct hb_py *py);

/*
 * The lifespans, which ASGI has: awaitables (or None) that are done when every
 * one has started, or raise where one has not; and when every one has ended.
 */
PyObject *hb_py_lifespan_start(struct hb_py *py);
PyObject *hb_py_lifespan_stop(struct hb_py *py);

#endif
