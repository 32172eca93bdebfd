noinst_LTLIBRARIES += %D%/libpy.la
%C%_libpy_la_CPPFLAGS = $(AM_CPPFLAGS) $(PYTHON_INCLUDES) $(EVENT_CFLAGS) $(DEFS_DIRS)
%C%_libpy_la_LIBADD = %D%/libpyloop.la
%C%_libpy_la_SOURCES = \
	%D%/app.c \
	%D%/asgi.c %D%/asgi.h \
	%D%/asgi_coroutine.c \
	%D%/asgi_http.c \
	%D%/asgi_message.c %D%/asgi_message.h \
	%D%/asgi_names.c %D%/asgi_names.h \
	%D%/asgi_response.c %D%/asgi_response.h \
	%D%/asgi_scope.c %D%/asgi_scope.h \
	%D%/asgi_ws.c \
	%D%/awaitable.c \
	%D%/call.c %D%/call.h \
	%D%/coroutine.h \
	%D%/current.c %D%/current.h \
	%D%/detect.c %D%/detect.h \
	%D%/environ.c %D%/environ.h \
	%D%/errors.c %D%/errors.h \
	%D%/input.c %D%/input.h \
	%D%/interpreter.c \
	%D%/lifespan.c %D%/lifespan.h \
	%D%/loop.c %D%/loop.h \
	%D%/names.c %D%/names.h \
	%D%/own.c \
	%D%/py.h %D%/server.h %D%/state.h \
	%D%/stacks.c %D%/stacks.h \
	%D%/thread.c \
	%D%/suspended.c %D%/suspended.h \
	%D%/venv.c %D%/venv.h %D%/waiting.h \
	%D%/watch.c %D%/watch.h \
	%D%/wrapper.c %D%/wrapper.h \
	%D%/wsgi.c

# The loop, which is a Python module: built into the worker, and loaded by tests.
noinst_LTLIBRARIES += %D%/libpyloop.la
%C%_libpyloop_la_CPPFLAGS = $(AM_CPPFLAGS) $(PYTHON_INCLUDES) $(EVENT_CFLAGS)
%C%_libpyloop_la_SOURCES = \
	%D%/aio.h \
	%D%/aio_core.c \
	%D%/aio_handle.c \
	%D%/aio_module.c \
	%D%/aio_stream.c \
	%D%/aio_tasks.c \
	%D%/aio_timers.c \
	%D%/aio_watch.c \
	%D%/selector.c %D%/selector.h \
	%D%/selector_type.c
BUILT_SOURCES += %D%/loop_py.h
CLEANFILES += %D%/loop_py.h
EXTRA_DIST += %D%/loop.py
%D%/loop_py.h: %D%/loop.py %D%/local.mk
	$(AM_V_GEN)$(MKDIR_P) %D% && od -An -v -tx1 $(srcdir)/%D%/loop.py | \
		sed 's/ \(..\)/0x\1,/g' >$@.tmp && mv $@.tmp $@
%D%/%C%_libpyloop_la-aio_module.lo: %D%/loop_py.h
