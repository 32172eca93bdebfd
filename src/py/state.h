/* Inside the py room: the state of the interpreter, which every file of the room shares. */
#ifndef HB_PY_STATE_H
#define HB_PY_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "py/current.h"
#include "py/names.h"
#include "py/py.h"

struct hb_py {
	const struct hb_py_server *server;
	PyThreadState *left; /* while the GIL is given up */
	char *path_is;       /* what the configuration says, for errors */
	char *venv_is;
	bool multiprocess;
	bool multithread;
	enum hb_py_lifespan lifespan;
	int64_t lifespan_timeout; /* milliseconds */

	PyTypeObject *input_type;
	PyTypeObject *errors_type;
	PyTypeObject *wrapper_type;
	PyObject *file_types[3]; /* FileIO, BufferedReader, BufferedRandom */
	PyTypeObject *call_type;
	PyObject *errors;       /* wsgi.errors */
	PyObject *format;       /* traceback.format_exception, once needed */
	PyObject *decode;       /* hornbeam_erlang's, of terms, once needed */
	PyObject *spare_input;  /* one of each, for the next request */
	PyObject *spare_call;
	struct hb_py_stacks *stacks;
	struct hb_py_watch *watch; /* of the loop */
	PyObject *context;      /* of the time when the applications had been imported: each WSGI request gets a copy */
	struct hb_py_current current; /* for hornbeam_erlang */
	PyObject *current_var;  /* NULL: it was not imported */
	struct hb_py_loop *loop; /* NULL: no asyncio loop runs */
	struct hb_py_names names;
	struct hb_py_asgi *asgi; /* NULL: no ASGI application was loaded */
};

struct hb_py_app {
	PyObject *callable;
	char *spec;
	bool async; /* ASGI */
	bool mount_apart; /* scope["path"] is without the mount: see detect.c */
	PyObject *state;  /* what the lifespan has put into its state; NULL: there is none */
};

struct hb_py_place {
	PyObject *environ;   /* copied for each request */
	PyObject *scopes[2]; /* the same for ASGI: HTTP, WebSocket */
};

struct hb_py_peer {
	PyObject *addr;
	PyObject *port;
	PyObject *client; /* of an ASGI scope */
};

/* d[key] = value, which it takes and which may be NULL with an exception.  Returns 0 or -1. */
int hb_py_set(PyObject *d, PyObject *key, PyObject *value);

/* What a hook has added to the request; NULL with an exception. */
PyObject *hb_py_own(struct hb_py *py, const struct hb_py_request *r);

/* That of the request's connection, made if need be; each member is made by who uses it.  NULL with an exception. */
struct hb_py_peer *hb_py_peer_get(struct hb_py_request *r);

/* A new heap type that Python code cannot make instances of. */
PyTypeObject *hb_py_type(PyType_Spec *spec);

#endif
