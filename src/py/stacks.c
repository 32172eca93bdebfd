/*
 * The Python stacks of threads.  A thread of its own tries to get the GIL, so
 * that whoever asks can give up: where C code holds the GIL and does not come
 * back, the stacks are read without it.  They stand still then, since every
 * thread that runs Python waits for the GIL or is in that C code.
 */
#include "py/stacks.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/str.h"

enum {
	PATIENCE_MS = 100,     /* for the GIL, which running Python code gives up every 5 ms */
	TEXT_MOST = 64 * 1024,
	STACK_SIZE = 256 * 1024,
	THREADS_MOST = 200
};

enum state { IDLE, ASKED, DUMPING, DONE };

struct hb_py_stacks {
	pthread_mutex_t callers; /* one at a time */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	pthread_t thread;
	bool started;
	bool stop;
	enum state state;
	int fd;
	PyThreadState *only;
	PyInterpreterState *interp;
	unsigned long loop; /* the thread of hb_py_stacks_new */
};

/* Of CPython, as faulthandler uses it: writes to fd, takes no lock, allocates nothing. */
extern void _Py_DumpTraceback(int fd, PyThreadState *thread);

static void
dump(const struct hb_py_stacks *s, int fd, PyThreadState *only, const PyThreadState *mine)
{
	PyThreadState *t;
	int i = 0;

	if (only != NULL) {
		_Py_DumpTraceback(fd, only);
		return;
	}
	for (t = PyInterpreterState_ThreadHead(s->interp); t != NULL && i < THREADS_MOST; t = PyThreadState_Next(t)) {
		i++;
		if (t == mine && t->thread_id != s->loop)
			continue;
		dprintf(fd, "thread %lu%s: ", t->native_thread_id, t->thread_id == s->loop ? ", the main one" : "");
		_Py_DumpTraceback(fd, t);
	}
}

static void *
run(void *arg)
{
	struct hb_py_stacks *s = arg;
	PyGILState_STATE gil;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		if (s->state != ASKED) {
			pthread_cond_wait(&s->cond, &s->lock);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		gil = PyGILState_Ensure();
		pthread_mutex_lock(&s->lock);
		if (s->state == ASKED) {
			s->state = DUMPING;
			dump(s, s->fd, s->only, PyThreadState_Get());
			s->state = DONE;
			pthread_cond_broadcast(&s->cond);
		}
		pthread_mutex_unlock(&s->lock);
		PyGILState_Release(gil);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static bool
start(struct hb_py_stacks *s)
{
	pthread_attr_t attr;

	if (!s->started && pthread_attr_init(&attr) == 0) {
		pthread_attr_setstacksize(&attr, STACK_SIZE);
		s->started = pthread_create(&s->thread, &attr, run, s) == 0;
		pthread_attr_destroy(&attr);
	}
	return s->started;
}

/* By the other thread, under the GIL. */
static bool
ask(struct hb_py_stacks *s, int fd, PyThreadState *only)
{
	struct timespec until;
	bool done;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += PATIENCE_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&s->lock);
	if (start(s)) {
		s->fd = fd;
		s->only = only;
		s->state = ASKED;
		pthread_cond_broadcast(&s->cond);
		while (s->state == ASKED && pthread_cond_timedwait(&s->cond, &s->lock, &until) != ETIMEDOUT)
			;
	}
	done = s->state == DONE;
	s->state = IDLE;
	pthread_mutex_unlock(&s->lock);
	return done;
}

static char *
read_text(int fd)
{
	struct stat st;
	size_t n = fstat(fd, &st) == 0 && st.st_size < TEXT_MOST ? (size_t)st.st_size : TEXT_MOST;
	char *text = hb_xcalloc(n + 1, 1);

	if (pread(fd, text, n, 0) == -1)
		text[0] = '\0';
	return text;
}

char *
hb_py_stacks_take(struct hb_py_stacks *s, PyThreadState *only)
{
	int fd = memfd_create("stacks", MFD_CLOEXEC);
	char *text;

	if (fd == -1)
		return hb_xstrdup("the stacks cannot be read: no descriptor");
	if (PyGILState_Check())
		dump(s, fd, only, NULL);
	else {
		pthread_mutex_lock(&s->callers);
		if (!ask(s, fd, only))
			dump(s, fd, only, NULL);
		pthread_mutex_unlock(&s->callers);
	}
	text = read_text(fd);
	close(fd);
	return text;
}

struct hb_py_stacks *
hb_py_stacks_new(void)
{
	struct hb_py_stacks *s = hb_xcalloc(1, sizeof *s);
	pthread_condattr_t attr;

	pthread_mutex_init(&s->callers, NULL);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->cond, &attr);
	pthread_condattr_destroy(&attr);
	s->interp = PyInterpreterState_Get();
	s->loop = PyThreadState_Get()->thread_id;
	return s;
}

void
hb_py_stacks_forked(struct hb_py_stacks *s)
{
	pthread_mutex_init(&s->callers, NULL);
	pthread_mutex_init(&s->lock, NULL);
	s->started = false;
	s->state = IDLE;
}

void
hb_py_stacks_free(struct hb_py_stacks *s)
{
	if (s == NULL)
		return;
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_broadcast(&s->cond);
		pthread_mutex_unlock(&s->lock);
		Py_BEGIN_ALLOW_THREADS
		pthread_join(s->thread, NULL);
		Py_END_ALLOW_THREADS
	}
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->callers);
	free(s);
}

void
hb_py_stacks(struct hb_py *py, const char *title)
{
	char *text = hb_py_stacks_take(py->stacks, NULL);

	hb_warn("%s", title);
	hb_log_lines(HB_LOG_WARNING, "app: ", text);
	free(text);
}
