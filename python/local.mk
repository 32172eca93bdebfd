# The extension module is built as a shared object that nothing links; it is
# installed by hand, without its .la file.  Python's symbols come from the process.
pyextdir = $(pyexecdir)/hornbeam_erlang
noinst_LTLIBRARIES += %D%/_hornbeam.la
%C%__hornbeam_la_SOURCES = \
	%D%/ext/aio.c %D%/ext/aio.h \
	%D%/ext/aio_call.c \
	%D%/ext/aio_client.c %D%/ext/aio_client.h \
	%D%/ext/blocking.c %D%/ext/blocking.h \
	%D%/ext/awaited.c \
	%D%/ext/client.c %D%/ext/client.h \
	%D%/ext/convert.c %D%/ext/convert.h \
	%D%/ext/fields.c %D%/ext/fields.h \
	%D%/ext/from_term.c \
	%D%/ext/kinds.c %D%/ext/kinds.h \
	%D%/ext/kinds_decode.c \
	%D%/ext/module.c %D%/ext/module.h \
	%D%/ext/ops.c %D%/ext/ops.h \
	%D%/ext/readers.c %D%/ext/readers.h \
	%D%/ext/process.c \
	%D%/ext/provide.c %D%/ext/provide.h \
	%D%/ext/pubsub.c %D%/ext/pubsub.h \
	%D%/ext/subscription.c \
	%D%/ext/to_term.c \
	%D%/ext/types.c \
	%D%/ext/watch.c %D%/ext/watch.h
%C%__hornbeam_la_CPPFLAGS = $(AM_CPPFLAGS) $(PYTHON_INCLUDES)
%C%__hornbeam_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath $(pyextdir)
%C%__hornbeam_la_LIBADD = src/link/liblink.la src/term/libterm.la src/common/libcommon.la -lpthread

dist_pyext_DATA = \
	%D%/hornbeam_erlang/__init__.py \
	%D%/hornbeam_erlang/_calls.py \
	%D%/hornbeam_erlang/_errors.py \
	%D%/hornbeam_erlang/_functions.py \
	%D%/hornbeam_erlang/_hornbeam.pyi \
	%D%/hornbeam_erlang/_pubsub.py \
	%D%/hornbeam_erlang/_register.py \
	%D%/hornbeam_erlang/_state.py \
	%D%/hornbeam_erlang/aio.py \
	%D%/hornbeam_erlang/py.typed

# build/run puts pylib on PYTHONPATH.
ALL_LOCAL += pylib/.stamp
CLEAN_LOCAL += pylib-clean
CLEANFILES += pylib/.stamp
pylib/.stamp: %D%/_hornbeam.la $(dist_pyext_DATA)
	$(AM_V_GEN)rm -rf pylib && $(MKDIR_P) pylib/hornbeam_erlang && \
	here=`pwd` && src=`cd $(srcdir) && pwd` && \
	for f in $(dist_pyext_DATA); do \
		$(LN_S) "$$src/python/hornbeam_erlang/`basename $$f`" pylib/hornbeam_erlang/ || exit 1; done && \
	$(LN_S) "$$here/python/.libs/_hornbeam.so" pylib/hornbeam_erlang/_hornbeam.so && \
	touch $@
pylib-clean:
	-rm -rf pylib

# Workers append $(pkglibdir)/python to sys.path: a virtual environment without
# the system's packages finds the module there.
INSTALL_EXEC_LOCAL += pyext-install
UNINSTALL_LOCAL += pyext-uninstall
pyext-install: %D%/_hornbeam.la
	$(MKDIR_P) "$(DESTDIR)$(pyextdir)" "$(DESTDIR)$(pkglibdir)/python"
	$(INSTALL_PROGRAM) -m 644 %D%/.libs/_hornbeam.so "$(DESTDIR)$(pyextdir)/_hornbeam.so"
	rm -f "$(DESTDIR)$(pkglibdir)/python/hornbeam_erlang"
	$(LN_S) "$(pyextdir)" "$(DESTDIR)$(pkglibdir)/python/hornbeam_erlang"
pyext-uninstall:
	rm -f "$(DESTDIR)$(pyextdir)/_hornbeam.so" "$(DESTDIR)$(pkglibdir)/python/hornbeam_erlang"
	-rmdir "$(DESTDIR)$(pkglibdir)/python" "$(DESTDIR)$(pkglibdir)" 2>/dev/null
# What Python has compiled goes with its sources.
UNINSTALL_HOOK += pyext-rmdir
pyext-rmdir:
	rm -rf "$(DESTDIR)$(pyextdir)/__pycache__"
	-rmdir "$(DESTDIR)$(pyextdir)" 2>/dev/null
.PHONY: pylib-clean pyext-install pyext-uninstall pyext-rmdir
