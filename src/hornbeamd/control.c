/* The control socket: see control.h.  The operations are the table at the end. */
#include "hornbeamd/control.h"

#include <errno.h>
#include <event2/event.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "hornbeamd/companion.h"
#include "hornbeamd/control_client.h"
#include "hornbeamd/master.h"
#include "hornbeamd/reload.h"
#include "hornbeamd/report.h"
#include "hornbeamd/workers.h"
#include "link/evdial.h"
#include "net/listener.h"
#include "term/term.h"

enum {
	CLIENTS_MAX = 256,
	LINK_MS = 5000,      /* to open a link for a peer that names no deadline */
	LINK_MOST_MS = 60000,
	RELOAD_MOST_MS = 24 * 3600 * 1000,
	LINK_MARGIN_MS = 1000 /* the peer gives up first, and knows then that it was time */
};

/* What the control socket remembers of a client. */
struct peer {
	TAILQ_ENTRY(peer) entry;
	struct hb_control *control;
	struct hb_control_client *client;
	struct hb_evdial *opening; /* NULL: no link is being opened */
	struct hb_reload_wait *reloading; /* NULL: it waits for no reload */
	uint32_t deadline;         /* of its request; 0: none */
	bool allowed;
};
TAILQ_HEAD(peers, peer);

struct hb_control {
	struct hb_master *master;
	struct hb_listener *listener;
	struct event *readable;
	struct event *again; /* when accepting may go on */
	gid_t group; /* (gid_t)-1: none */
	struct peers peers; /* whoever asked longest ago comes first */
	size_t count;
};

static int
make_directory(const char *socket_path, const struct hb_identity *id, struct hb_error *err)
{
	char *copy = hb_xstrdup(socket_path), *dir = dirname(copy);
	int result = 0;

	if (mkdir(dir, 0755) == -1) {
		if (errno != EEXIST)
			result = hb_error_errno(err, HB_ERROR_BIND, "control.socket: cannot make %s", dir);
	} else if (chmod(dir, 0755) == -1 || (id->drop && chown(dir, id->uid, id->gid) == -1)) {
		result = hb_error_errno(err, HB_ERROR_BIND, "control.socket: cannot hand %s over to %s", dir, id->user);
	}
	free(copy);
	return result;
}

int
hb_control_open(struct hb_listener *listener, const struct hb_config *config, const struct hb_identity *id,
    struct hb_error *err)
{
	struct hb_listener_file file = {0600, id->drop ? id->uid : (uid_t)-1, id->drop ? id->gid : (gid_t)-1};
	struct hb_address address;
	struct hb_error cause;
	char *text = hb_xasprintf("unix:%s", config->control.socket);
	int result = -1;

	if (config->control.group != NULL) {
		file.mode = 0660;
		if (hb_identity_group(config->control.group, "control.group", &file.gid, err) == -1)
			goto out;
	}
	if (hb_address_parse(&address, text, &cause) == -1) {
		hb_error_set(err, HB_ERROR_CONFIG, "control.socket: %.400s", cause.text);
		goto out;
	}
	if (make_directory(config->control.socket, id, err) == -1)
		goto out;
	result = hb_listener_open(listener, &address, &file, &cause);
	if (result == -1 && cause.saved_errno == EADDRINUSE)
		hb_error_set(err, HB_ERROR_BIND, "another hornbeamd is running: %s is in use", config->control.socket);
	else if (result == -1 && cause.saved_errno == EPERM && config->control.group != NULL)
		hb_error_set(err, HB_ERROR_PERMISSION, "control.group: the socket cannot be given to '%s': not a member",
		    config->control.group);
	else if (result == -1)
		hb_error_set(err, cause.kind, "control.socket: %.400s", cause.text);
out:
	free(text);
	return result;
}

int
hb_control_check_directory(const struct hb_config *config, const struct hb_identity *id, struct hb_error *err)
{
	char *copy = hb_xstrdup(config->control.socket), *dir = dirname(copy);
	int result = 0;

	if (access(dir, W_OK | X_OK) == -1)
		result = hb_error_set(err, HB_ERROR_BIND, "control.socket: the user '%s' cannot write to %s; chown it",
		    id->user, dir);
	free(copy);
	return result;
}

static struct hb_buf
new_term(void)
{
	struct hb_buf b = HB_BUF_INIT;

	hb_term_put_version(&b);
	return b;
}

static void
op_ping(struct peer *p, const struct hb_frame *frame)
{
	struct hb_buf b = new_term();

	hb_term_put_atom(&b, "pong");
	hb_control_client_reply(p->client, &b, -1);
}

static void
op_status(struct peer *p, const struct hb_frame *frame)
{
	struct hb_buf b = new_term();

	hb_report_status(p->control->master, &b);
	hb_control_client_reply(p->client, &b, -1);
}

static void
op_workers(struct peer *p, const struct hb_frame *frame)
{
	struct hb_buf b = new_term();

	hb_report_workers(p->control->master, &b);
	hb_control_client_reply(p->client, &b, -1);
}

static void
on_link(void *arg, int fd, const struct hb_error *err)
{
	struct peer *p = arg;
	struct hb_buf b;

	p->opening = NULL;
	if (fd == -1) {
		hb_info("control: no link for process %d: %s", (int)hb_control_client_cred(p->client)->pid, err->text);
		hb_control_client_error(p->client, "down", err->text, false);
		return;
	}
	b = new_term();
	hb_term_put_nil(&b);
	hb_control_client_reply(p->client, &b, fd);
}

static int
link_patience(uint32_t deadline)
{
	int32_t left = (int32_t)(deadline - (uint32_t)hb_clock_ms());

	if (deadline == 0)
		return LINK_MS;
	if (left < 0)
		left = 0;
	return (left < LINK_MOST_MS ? left : LINK_MOST_MS) + LINK_MARGIN_MS;
}

static void
op_link(struct peer *p, const struct hb_frame *frame)
{
	struct hb_master *m = p->control->master;
	const struct ucred *cred = hb_control_client_cred(p->client);
	struct hb_hello hello = {.role = "client", .uid = cred->uid, .gid = cred->gid, .pid = cred->pid};
	struct hb_error err;
	char name[64];

	if (!hb_companion_is_ready(m->companion)) {
		hb_control_client_error(p->client, "down", "the companion is down", false);
		return;
	}
	snprintf(name, sizeof name, "process %d of user %u", (int)cred->pid, (unsigned)cred->uid);
	hello.name = name;
	p->opening = hb_evdial_start(m->base, m->link_path, &hello, link_patience(p->deadline), on_link, p, &err);
	if (p->opening == NULL)
		hb_control_client_error(p->client, "down", err.text, false);
}

static void
on_reloaded(void *arg, const struct hb_error *err)
{
	struct peer *p = arg;
	struct hb_buf b;

	p->reloading = NULL;
	if (err != NULL) {
		hb_control_client_error(p->client, hb_frame_error_class(err->kind), err->text, false);
		return;
	}
	b = new_term();
	hb_term_put_atom(&b, "ok");
	hb_control_client_reply(p->client, &b, -1);
}

/* The request is the time that the new workers get. */
static void
op_reload(struct peer *p, const struct hb_frame *frame)
{
	struct hb_term_reader r;
	struct hb_error err;
	int64_t within_ms;

	if (hb_term_open(&r, frame->payload, frame->len, &err) == -1 || hb_term_want_int(&r, &within_ms, &err) == -1) {
		hb_control_client_error(p->client, "protocol", err.text, true);
		return;
	}
	if (within_ms < 1 || within_ms > RELOAD_MOST_MS)
		within_ms = RELOAD_MOST_MS;
	p->reloading = hb_reload_ask(p->control->master->reload, within_ms, on_reloaded, p);
}

/* Never answered: the connection lasts as long as the master. */
static void
op_stop(struct peer *p, const struct hb_frame *frame)
{
	const struct ucred *cred = hb_control_client_cred(p->client);

	hb_info("control: process %d of user %u asks for the end", (int)cred->pid, (unsigned)cred->uid);
	hb_master_stop(p->control->master);
}

static void
op_reopen_logs(struct peer *p, const struct hb_frame *frame)
{
	struct hb_buf b = new_term();

	hb_info("control: opening the logs again");
	hb_workers_reopen_logs(p->control->master->workers);
	hb_term_put_atom(&b, "ok");
	hb_control_client_reply(p->client, &b, -1);
}

static const struct {
	uint8_t op;
	void (*call)(struct peer *p, const struct hb_frame *frame);
} operations[] = {
    {HB_OP_LINK, op_link},
    {HB_OP_MASTER_STATUS, op_status},
    {HB_OP_WORKERS, op_workers},
    {HB_OP_MASTER_PING, op_ping},
    {HB_OP_RELOAD, op_reload},
    {HB_OP_MASTER_STOP, op_stop},
    {HB_OP_REOPEN_LOGS, op_reopen_logs},
};

static void
on_request(struct hb_control_client *client, const struct hb_frame *frame, void *arg)
{
	struct peer *p = *hb_control_client_data(client);
	struct peers *peers = &p->control->peers;
	char text[96];

	TAILQ_REMOVE(peers, p, entry);
	TAILQ_INSERT_TAIL(peers, p, entry);
	if (!p->allowed) {
		const struct ucred *cred = hb_control_client_cred(client);

		hb_info("control: process %d of user %u was refused", (int)cred->pid, (unsigned)cred->uid);
		hb_control_client_error(client, "denied", "not permitted; membership of control.group permits it", true);
		return;
	}
	if (frame->version != HB_LINK_VERSION) {
		snprintf(text, sizeof text, "protocol version %u; hornbeamd %s speaks %d", frame->version, PACKAGE_VERSION,
		    HB_LINK_VERSION);
		hb_control_client_error(client, "version", text, true);
		return;
	}
	p->deadline = frame->deadline;
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		if (operations[i].op == frame->op) {
			operations[i].call(p, frame);
			return;
		}
	snprintf(text, sizeof text, "operation %u is not one of the control socket", frame->op);
	hb_control_client_error(client, "protocol", text, true);
}

static void
on_closed(struct hb_control_client *client, void *arg)
{
	struct peer *p = *hb_control_client_data(client);

	hb_evdial_cancel(p->opening);
	hb_reload_forget(p->control->master->reload, p->reloading);
	TAILQ_REMOVE(&p->control->peers, p, entry);
	p->control->count--;
	free(p);
}

/* The kernel has checked the socket's mode already; this holds where the mode was widened, too. */
static bool
allowed(const struct hb_control *control, const struct hb_control_client *client)
{
	const struct ucred *cred = hb_control_client_cred(client);

	if (cred->uid == 0 || cred->uid == geteuid())
		return true;
	return control->group != (gid_t)-1 && hb_control_client_in_group(client, control->group);
}

/* At the limit whoever has been idle for longest makes room; false when nobody is idle. */
static bool
make_room(struct hb_control *control)
{
	struct peer *p;

	if (control->count < CLIENTS_MAX)
		return true;
	TAILQ_FOREACH(p, &control->peers, entry)
		if (hb_control_client_idle(p->client)) {
			hb_control_client_free(p->client);
			return true;
		}
	return false;
}

static void
admit(struct hb_control *control, int fd)
{
	const struct hb_control_calls calls = {on_request, on_closed, control};
	struct hb_control_client *client;
	struct peer *p;

	if (!make_room(control)) {
		hb_warn("control: %d clients are being served; one more was turned away", CLIENTS_MAX);
		close(fd);
		return;
	}
	client = hb_control_client_new(control->master->base, fd, &calls);
	if (client == NULL) {
		hb_err("control: cannot serve another client");
		return;
	}
	p = hb_xcalloc(1, sizeof *p);
	p->control = control;
	p->client = client;
	p->allowed = allowed(control, client);
	*hb_control_client_data(client) = p;
	TAILQ_INSERT_TAIL(&control->peers, p, entry);
	control->count++;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct hb_control *control = arg;
	struct hb_address peer;
	int client = hb_accept(fd, &peer);

	if (client != -1) {
		admit(control, client);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* Out of descriptors or memory: the peer stays in the backlog, so trying on would spin. */
		static const struct timeval pause = {1, 0};

		hb_err("control: accept: %m");
		event_del(control->readable);
		evtimer_add(control->again, &pause);
	}
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct hb_control *control = arg;

	event_add(control->readable, NULL);
}

struct hb_control *
hb_control_new(struct hb_master *m, struct hb_listener *listener)
{
	struct hb_control *control = hb_xcalloc(1, sizeof *control);
	struct hb_error err;

	control->master = m;
	control->listener = listener;
	control->group = (gid_t)-1;
	TAILQ_INIT(&control->peers);
	/* hb_control_open has found the group before. */
	if (m->config->control.group != NULL &&
	    hb_identity_group(m->config->control.group, "control.group", &control->group, &err) == -1)
		control->group = (gid_t)-1;
	control->readable = event_new(m->base, listener->fd, EV_READ | EV_PERSIST, on_readable, control);
	control->again = evtimer_new(m->base, on_again, control);
	if (control->readable == NULL || control->again == NULL || event_add(control->readable, NULL) == -1) {
		hb_control_free(control);
		return NULL;
	}
	return control;
}

void
hb_control_free(struct hb_control *control)
{
	struct peer *p;

	if (control == NULL)
		return;
	if (control->readable != NULL)
		event_free(control->readable);
	if (control->again != NULL)
		event_free(control->again);
	/* Before the clients are let go: for one of them that is the end, and another hornbeamd may start. */
	hb_listener_close(control->listener, 1);
	while ((p = TAILQ_FIRST(&control->peers)) != NULL)
		hb_control_client_free(p->client);
	free(control);
}
