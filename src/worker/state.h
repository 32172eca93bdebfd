/* Inside the worker room: the worker, which its files share. */
#ifndef HB_WORKER_STATE_H
#define HB_WORKER_STATE_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "config/config.h"
#include "http/parser.h"
#include "http/response.h"
#include "py/py.h"
#include "worker/accept.h"
#include "worker/access.h"
#include "worker/conn.h"
#include "worker/own.h"
#include "worker/rate.h"
#include "worker/timers.h"
#include "worker/watchdog.h"
#include "worker/worker.h"

/* The signals that the worker handles. */
enum { HB_WORKER_SIGNALS = 3 };
extern const int hb_worker_signals[HB_WORKER_SIGNALS];

struct hb_hooks;
struct hb_pool;

struct hb_worker_listener {
	struct hb_worker *worker;
	int fd;
	struct event event;
	struct hb_py_place **places; /* one for each application */
};

struct hb_worker_app {
	struct hb_py_app *py;
	size_t mount_len;
	bool async;
	int64_t slow_until; /* a call took long; others may */
	/* In the pool: */
	atomic_bool lengthy;          /* the last call was, somewhat */
	_Atomic int64_t spread_until; /* a call waited for something; others may */
};

struct hb_worker {
	const struct hb_config *config;
	const struct hb_worker_start *start;
	struct hb_worker_counters *counters; /* this worker's */
	struct event_base *base;
	struct hb_py *py;
	struct hb_py_server server;
	struct hb_http_limits limits;
	struct hb_trust *trust; /* of forwarded.trust */

	struct hb_worker_app *apps;
	struct hb_worker_listener *listeners;
	size_t listeners_count;
	struct hb_accept accept;

	struct event channel;
	struct event terminate;
	struct event reopen;
	struct sigaction handlers[HB_WORKER_SIGNALS]; /* as set, for the children of a fork */
	struct event tick; /* the next of timers */
	struct hb_timers timers;
	int64_t tick_at;   /* when tick comes, 0: not set */
	int64_t now;       /* milliseconds; set when the loop wakes up and around each request */
	bool asleep;       /* now is from before the wait */

	struct hb_conn_list conns; /* all; changed under shared, which a fork takes */
	size_t conns_count;
	struct hb_own own; /* their descriptors, and the worker's */
	struct hb_conn_queue ready;    /* a request for an application */
	struct hb_conn_queue again;    /* bytes of a further request at hand */
	struct hb_conn_queue unsent;   /* a whole response that has not been sent */
	struct hb_conn_queue noted;    /* something came for its application */
	struct hb_conn_queue dead;     /* freed at the end of the pass */
	unsigned unsent_count;
	size_t dead_count;
	struct hb_conn *running; /* the one whose WSGI application is called now, on this thread */
	int64_t began;           /* when it was called, or this pass's tasks began, microseconds */
	bool send_at_once;       /* its application may take long over something else */

	struct hb_websockets *websockets;
	struct hb_hooks *hooks; /* NULL: none are configured */
	struct hb_pool *pool; /* NULL: WSGI applications are called on this thread */

	void *spare_buffers; /* of the size of a usual head */
	size_t spare_count;
	struct hb_access access;
	struct hb_http_date date;
	struct hb_rate refusals; /* log lines about bad requests */
	struct hb_rate misuses;  /* log lines about applications' responses; under shared */
	pthread_mutex_t shared;  /* what threads of the pool use of it too */
	bool async;        /* an ASGI application is mounted: asyncio runs the loop */
	bool entered;      /* the GIL is held */
	struct event graceful; /* the time of a drain is up */
	struct event idle_grace;
	uint64_t retire_at; /* the count of requests at which it asks for another in its place */
	bool retiring;      /* it has asked */
	atomic_bool draining;
	bool gently;       /* idle connections are kept for a while */
	bool stopping;     /* the server ends: nobody takes over */
	bool cutting;      /* it is up: what goes on is ended */
	int64_t stacks_again; /* not logged before */
	struct hb_watchdog *watchdog;
	struct hb_watched watched; /* this thread */
	int64_t longest;     /* that a request may take, milliseconds */
	atomic_bool overdue; /* threads of the pool have been caught */
	struct hb_conn *hung; /* the one that was answered for last */
	bool ended;
	bool orphaned;     /* the channel ended: no time for goodbyes */
};

/* Every callback of the loop begins with this. */
static inline void
hb_worker_wake(struct hb_worker *w)
{
	if (w->asleep)
		w->now = hb_clock_ms();
	w->asleep = false;
}

/* Each worker writes only its own counters: no locked instruction is needed. */
static inline void
hb_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

#endif
