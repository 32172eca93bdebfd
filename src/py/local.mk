noinst_LTLIBRARIES += %D%/libpy.la
%C%_libpy_la_CPPFLAGS = $(AM_CPPFLAGS) $(PYTHON_INCLUDES) $(DEFS_DIRS)
%C%_libpy_la_SOURCES = \
	%D%/app.c \
	%D%/asgi.c %D%/asgi.h \
	%D%/asgi_http.c \
	%D%/asgi_message.c %D%/asgi_message.h \
	%D%/asgi_names.c %D%/asgi_names.h \
	%D%/asgi_scope.c %D%/asgi_scope.h \
	%D%/awaitable.c \
	%D%/call.c %D%/call.h \
	%D%/environ.c %D%/environ.h \
	%D%/errors.c %D%/errors.h \
	%D%/input.c %D%/input.h \
	%D%/interpreter.c \
	%D%/names.c %D%/names.h \
	%D%/pending.c \
	%D%/py.h %D%/server.h %D%/state.h \
	%D%/venv.c %D%/venv.h \
	%D%/wrapper.c %D%/wrapper.h \
	%D%/wsgi.c
