/*
 * hornbeam subscribe TOPIC...: a line a message, at once, until -n messages
 * have come, -t is over, a signal asks for the end or nobody reads any more.
 * What is lost on the way is said on standard error.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/call.h"
#include "cli/print.h"
#include "common/clock.h"
#include "config/units.h"
#include "link/push.h"

enum {
	LOOK_MS = 1000,  /* between two looks for a server that was lost */
	GONE_MS = 10000, /* a server that has been away for so long is not waited for */
	QUEUE = 100000,  /* messages that have come and are not written; their size has a limit of its own */
	MANY = 64        /* messages are written at the latest when so many have come */
};

struct listening {
	struct cli *cli;
	struct hb_push *push;
	struct hb_subscriber *subscriber;
	struct hb_push_watch *watch;
	uint64_t wanted; /* messages; 0: any number */
	uint64_t printed;
	int64_t until;   /* 0: for ever */
	struct hb_subscriber_counts told;
	int64_t lost_at; /* 0: the companion answers, as far as is known */
	int64_t look_at;
};

static volatile sig_atomic_t asked_to_end;

static void
on_signal(int sig)
{
	asked_to_end = 1;
}

/* The signals come while the process waits, and only then. */
static void
take_signals(sigset_t *waiting)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t ours;

	sigemptyset(&action.sa_mask);
	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigprocmask(SIG_BLOCK, &ours, waiting);
	sigdelset(waiting, SIGINT);
	sigdelset(waiting, SIGTERM);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static int
subscribe(struct listening *l, struct hb_error *err)
{
	struct cli *cli = l->cli;
	int64_t deadline = hb_clock_ms() + cli->timeout_ms;
	struct hb_buf checked = HB_BUF_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < cli->nargs; i++)
		rc = cli_put_name(&checked, "a topic", cli->args[i], CLI_KEY_MAX, err);
	hb_buf_free(&checked);
	for (size_t i = 0; rc == 0 && i < cli->nargs; i++) {
		rc = hb_push_subscribe(l->subscriber, cli->args[i], strlen(cli->args[i]), deadline, err);
		if (rc != 0)
			cli_explain(cli, err);
	}
	return rc;
}

static void
put_as_map(struct hb_buf *out, const struct hb_message *message)
{
	hb_term_put_version(out);
	hb_term_put_map(out, 2);
	hb_term_put_str(out, "topic");
	hb_term_put_binary(out, message->topic, message->topic_len);
	hb_term_put_str(out, "message");
	hb_buf_add(out, message->body + 1, message->len - 1);
}

/* One that cannot be shown is reported; the others still are. */
static void
print_message(struct cli *cli, const struct hb_message *message)
{
	struct hb_buf map = HB_BUF_INIT;

	if (cli->form == CLI_JSON || cli->form == CLI_TERM) {
		put_as_map(&map, message);
		(void)cli_print_term(cli, map.data, map.len, CLI_DONE);
		hb_buf_free(&map);
		return;
	}
	(void)cli_print_row(cli, cli->nargs > 1 ? message->topic : NULL, message->topic_len, message->body, message->len);
	if (cli->form == CLI_RAW)
		putchar('\n');
}

/* What was lost before the messages that come next. */
static void
tell_losses(struct listening *l)
{
	struct hb_subscriber_counts counts = hb_subscriber_counts(l->subscriber);
	unsigned long long dropped = counts.dropped - l->told.dropped;

	if (counts.cuts > l->told.cuts) {
		cli_warn(l->cli, "the connection to the companion was lost; messages may be missing until it is made again");
		l->lost_at = l->look_at = hb_clock_ms();
	} else if (counts.gaps > l->told.gaps)
		cli_warn(l->cli, "messages of other nodes may be missing: the companion has lost the connection to one, or has one again");
	if (dropped > 0)
		cli_warn(l->cli, "%llu message%s lost", dropped, dropped == 1 ? " was" : "s were");
	l->told = counts;
}

/* Prints what has come.  True: that was all that was wanted, or it cannot be written. */
static bool
print_all(struct listening *l)
{
	struct hb_message *message;
	bool full = false;

	tell_losses(l);
	while (!full && (message = hb_push_take(l->subscriber)) != NULL) {
		print_message(l->cli, message);
		hb_message_unref(message);
		l->printed++;
		full = l->printed == l->wanted;
		if (l->printed % MANY == 0)
			fflush(stdout);
	}
	return fflush(stdout) != 0 || full;
}

/* After a loss: the companion is looked for, so that a server that has gone for good is not waited for. */
static int
look(struct listening *l, struct hb_error *err)
{
	struct hb_buf reply = HB_BUF_INIT;
	int64_t now = hb_clock_ms();
	int rc;

	if (l->lost_at == 0 || now < l->look_at)
		return 0;
	l->cli->deadline = now + LOOK_MS;
	rc = cli_call_empty(l->cli, HB_OP_PING, &reply, err);
	hb_buf_free(&reply);
	l->look_at = hb_clock_ms() + LOOK_MS;
	if (rc == 0)
		l->lost_at = 0;
	else if (err->kind != HB_ERROR_CONNECT)
		l->lost_at = now;
	else if (now - l->lost_at >= GONE_MS)
		return -1;
	return 0;
}

/* Until there is something to read, nobody to read it, the time or a signal. */
static bool
wait_for_more(struct listening *l, const sigset_t *waiting)
{
	struct pollfd fds[] = { { hb_push_watch_fd(l->watch), POLLIN, 0 }, { STDOUT_FILENO, 0, 0 } };
	int64_t until = l->until, left;
	struct timespec time;
	bool elsewhere;

	if (l->lost_at != 0 && (until == 0 || l->look_at < until))
		until = l->look_at;
	left = until != 0 ? until - hb_clock_ms() : 0;
	if (left < 0 || !hb_push_arm(l->subscriber, l->watch, &elsewhere))
		left = 0, until = 1;
	time = (struct timespec){ left / 1000, left % 1000 * 1000000 };
	if (ppoll(fds, 2, until != 0 ? &time : NULL, waiting) == -1 && errno != EINTR)
		return false;
	hb_push_read(l->watch);
	while (hb_push_woken(l->watch) != NULL)
		;
	return !asked_to_end && fds[1].revents == 0;
}

static int
time_is_up(const struct listening *l)
{
	if (l->wanted == 0)
		return CLI_DONE;
	cli_warn(l->cli, "%llu of %llu messages came in time", (unsigned long long)l->printed,
	    (unsigned long long)l->wanted);
	return CLI_TIMEOUT;
}

static int
listen_on(struct listening *l, struct hb_error *err)
{
	sigset_t waiting;

	take_signals(&waiting);
	for (;;) {
		if (print_all(l))
			return CLI_DONE;
		if (l->until != 0 && hb_clock_ms() >= l->until)
			return time_is_up(l);
		if (look(l, err) != 0)
			return cli_fail(l->cli, err);
		if (!wait_for_more(l, &waiting))
			return CLI_DONE;
	}
}

static int
run(struct listening *l)
{
	struct hb_link_options options = { .via = HB_LINK_CONTROL, .role = "cli", .name = "hornbeam" };
	struct cli *cli = l->cli;
	struct hb_error err;

	options.path = cli_socket(cli, &err);
	if (options.path == NULL)
		return cli_fail(cli, &err);
	if (cli->timed)
		l->until = hb_clock_ms() + cli->timeout_ms;
	l->push = hb_push_new(&options, QUEUE);
	l->subscriber = hb_subscriber_new(l->push, l);
	l->watch = hb_push_watch_new(l->push, &err);
	if (l->watch == NULL || subscribe(l, &err) != 0)
		return cli_fail(cli, &err);
	return listen_on(l, &err);
}

int
cmd_subscribe(struct cli *cli)
{
	struct listening l = { .cli = cli };
	const char *count = cli_option(cli, "count");
	int status;

	if (count != NULL && (!hb_units_number(count, &l.wanted) || l.wanted == 0))
		return cli_usage(cli, "-n takes a number above 0, not '%s'", count);
	status = run(&l);
	if (l.subscriber != NULL)
		hb_subscriber_free(l.subscriber);
	if (l.watch != NULL)
		hb_push_watch_free(l.watch);
	hb_push_free(l.push);
	return status;
}
