/* One call of a WSGI application: start_response, its write(), and what is left to send. */
#ifndef HB_PY_CALL_H
#define HB_PY_CALL_H

#include "py/state.h"

/* A call is the start_response that its application gets. */
struct hb_py_call {
	PyObject_HEAD
	vectorcallfunc vectorcall;
	struct hb_py *py;
	struct hb_py_request *r; /* NULL: the request is over */
	PyObject *context;
	PyObject *input;
	PyObject *result;
	PyObject *iter;    /* of result, where it is neither list nor tuple */
	PyObject *pending; /* a part that the peer has not taken whole */
	Py_ssize_t pending_off;
	int file;          /* the descriptor that the result is sent from */
	int64_t file_off;
	int64_t file_left;
	Py_ssize_t index;  /* of the next part, where result is a list or tuple */
	struct hb_py_kept kept;
	bool started;      /* start_response was called */
	bool running;      /* inside hb_py_run */
	bool waiting;      /* a write() waits without the GIL */
};

/* What hb_py_call.file is beside a descriptor. */
enum { HB_PY_FILE_UNKNOWN = -1, HB_PY_FILE_NONE = -2 };

enum hb_py_sent {
	HB_PY_SENT,     /* all of it */
	HB_PY_SLOW,     /* not all: the peer is slow */
	HB_PY_UNWANTED, /* nobody wants the rest */
	HB_PY_FAILED    /* an exception is set */
};

int hb_py_call_init(struct hb_py *py);
struct hb_py_call *hb_py_call_new(struct hb_py *py, struct hb_py_request *r);
/* Takes the call and drops all that it holds; what the application still holds of it is dead from now on. */
void hb_py_call_end(struct hb_py_call *c);
/* Sends what is pending. */
enum hb_py_sent hb_py_call_push(struct hb_py_call *c, bool more);

#endif
