/* Holds the place of the asyncio loop and of ASGI until they are here; whoever brings one removes its lines. */
#include "py/state.h"

int
hb_py_loop_run(struct hb_py *py, struct event_base *base, const struct hb_py_loop_hooks *hooks, struct hb_error *err)
{
	return hb_error_set(err, HB_ERROR_SYSTEM, "worker: no asyncio loop yet");
}

void
hb_py_loop_stop(struct hb_py *py)
{
}

void
hb_py_notify(struct hb_py *py, struct hb_py_request *r, unsigned events)
{
}
