/*
 * An HTTP load generator.  With a rate it is open-loop: requests become due at
 * that rate whatever the server does, and each counts from the time it was due,
 * so that a server that stalls pays for all that waited meanwhile.  Without a
 * rate every connection asks again once it has its answer.
 * Prints one line of JSON; times are in microseconds.
 *
 * Usage: httpload [-r REQUESTS_A_SECOND] [-c CONNECTIONS] [-d SECONDS]
 *                 [-u BYTES_TO_UPLOAD_CHUNKED] [-p PATH] PORT
 */
#include "load.h"
#include "reply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { UPLOAD_CHUNK = 16384, PATIENCE = 3 };

struct slot {
	int fd; /* -1: to be connected when it is needed */
	bool busy;
	bool used; /* the connection has had a response before */
	uint64_t due;
	size_t sent;
	struct reply reply;
};

struct run {
	unsigned port;
	double rate;
	uint64_t start; /* of what counts, after the warm-up */
	uint64_t end;
	char *request;
	size_t request_len;
	int epoll;
	struct slot *slots;
	struct slot **idle; /* a ring, so that all connections are used in turn */
	size_t slot_count, idle_head, idle_count;
	uint64_t opened; /* when the first request was due */
	uint64_t begun;
	uint64_t sent, answered, errors, retried, body;
	uint64_t all; /* answers, in the warm-up and after the end too */
	struct load_times times;
};

static void
build_request(struct run *run, const char *path, size_t upload)
{
	size_t size = strlen(path) + 256 + upload + (upload / UPLOAD_CHUNK + 1) * 16;
	char *p = run->request = malloc(size);

	if (p == NULL)
		load_fail("malloc");
	p += snprintf(p, size, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n", upload > 0 ? "POST" : "GET",
	    path, run->port, upload > 0 ? "Transfer-Encoding: chunked\r\n" : "");
	for (size_t part; upload > 0; upload -= part) {
		part = upload < UPLOAD_CHUNK ? upload : UPLOAD_CHUNK;
		p += sprintf(p, "%zx\r\n", part);
		memset(p, 'x', part);
		p += part;
		p = stpcpy(p, "\r\n");
		if (part == upload)
			p = stpcpy(p, "0\r\n\r\n");
	}
	run->request_len = (size_t)(p - run->request);
}

static void
make_idle(struct run *run, struct slot *slot)
{
	slot->busy = false;
	run->idle[(run->idle_head + run->idle_count++) % run->slot_count] = slot;
}

static void
disconnect(struct slot *slot)
{
	close(slot->fd);
	slot->fd = -1;
	slot->used = false;
}

static void
flush(struct run *run, struct slot *slot)
{
	while (slot->sent < run->request_len) {
		ssize_t n =
		    send(slot->fd, run->request + slot->sent, run->request_len - slot->sent, MSG_NOSIGNAL);

		if (n == -1) /* EAGAIN, or an error that the next read tells of */
			return;
		slot->sent += (size_t)n;
	}
}

static void
ask(struct run *run, struct slot *slot)
{
	struct epoll_event event = {
	    .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = slot}};

	if (slot->fd == -1) {
		slot->fd = load_connect(run->port, 0);
		if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, slot->fd, &event) == -1)
			load_fail("epoll_ctl");
	}
	slot->sent = 0;
	reply_reset(&slot->reply);
	flush(run, slot);
}

static uint64_t
due_at(const struct run *run)
{
	return run->rate > 0 ? run->opened + (uint64_t)((double)run->begun * 1e9 / run->rate) : 0;
}

static void
begin_what_is_due(struct run *run, uint64_t now)
{
	while (run->idle_count > 0 && due_at(run) <= now && (run->rate > 0 ? due_at(run) : now) < run->end) {
		struct slot *slot = run->idle[run->idle_head];

		run->idle_head = (run->idle_head + 1) % run->slot_count;
		run->idle_count--;
		slot->busy = true;
		slot->due = run->rate > 0 ? due_at(run) : now;
		run->begun++;
		run->sent += slot->due >= run->start;
		ask(run, slot);
	}
}

/* The request of a slot has its response, or will have none. */
static void
finish(struct run *run, struct slot *slot, bool good, uint64_t now)
{
	/* Open-loop, what counts is what was due in the window; else what was answered in it. */
	bool counts = run->rate > 0 ? slot->due >= run->start : now >= run->start && now < run->end;

	run->all++;
	if (!good)
		run->errors++;
	else if (counts) {
		run->answered++;
		run->body += slot->reply.body;
		load_times_add(&run->times, now - slot->due);
	}
	slot->used = true;
	if (!good || slot->reply.close || slot->reply.state == REPLY_REST)
		disconnect(slot);
	make_idle(run, slot);
}

static void
on_end(struct run *run, struct slot *slot)
{
	bool untouched = slot->reply.state == REPLY_STATUS && slot->reply.len == 0;

	if (!slot->busy) {
		disconnect(slot);
	} else if (slot->used && untouched) {
		/* A kept connection that the server closed meanwhile: any client asks again. */
		disconnect(slot);
		run->retried++;
		ask(run, slot);
	} else {
		finish(run, slot, reply_end(&slot->reply) == REPLY_DONE && slot->reply.status == 200,
		    load_now());
	}
}

static void
on_event(struct run *run, struct slot *slot, uint32_t what)
{
	static char bytes[1 << 18];
	bool ends = (what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	ssize_t n;

	if (slot->fd == -1)
		return;
	if (slot->busy && slot->sent < run->request_len)
		flush(run, slot);
	do {
		enum reply_result result;
		size_t used;

		n = recv(slot->fd, bytes, sizeof bytes, 0);
		if (n == -1 && errno == EAGAIN)
			return;
		if (n <= 0) {
			on_end(run, slot);
			return;
		}
		result = slot->busy ? reply_feed(&slot->reply, bytes, (size_t)n, &used) : REPLY_BAD;
		if (result == REPLY_BAD || (result == REPLY_DONE && used < (size_t)n)) {
			errno = 0;
			load_fail("the server's answer is not HTTP: %.100s", bytes);
		}
		if (result == REPLY_DONE) {
			finish(run, slot, slot->reply.status == 200, load_now());
			if (run->rate <= 0)
				begin_what_is_due(run, load_now());
			if (slot->fd == -1 || !ends)
				return;
		}
	} while (ends || n == (ssize_t)sizeof bytes);
}

static bool
waiting(const struct run *run)
{
	return run->rate > 0 && (run->idle_count < run->slot_count || due_at(run) < run->end);
}

static void
drive(struct run *run)
{
	struct epoll_event events[256];
	uint64_t now = load_now();

	/* Open-loop, what was due before the end is waited for, whether it could be sent yet or not. */
	while (now < run->end || (waiting(run) && now < run->end + PATIENCE * LOAD_SECOND)) {
		int n;

		begin_what_is_due(run, now);
		/* Spins where a request may become due: a core that sleeps wakes late. */
		n = epoll_wait(run->epoll, events, 256, run->rate > 0 && now < run->end ? 0 : 50);
		for (int i = 0; i < n; i++)
			on_event(run, events[i].data.ptr, events[i].events);
		now = load_now();
	}
	if (!waiting(run))
		return;
	run->errors += run->slot_count - run->idle_count;
	if (due_at(run) < run->end)
		run->errors += (uint64_t)((double)(run->end - due_at(run)) * run->rate / 1e9);
}

int
main(int argc, char **argv)
{
	static struct run run;
	double seconds = 2;
	size_t upload = 0;
	const char *path = "/";
	int option;

	run.slot_count = 50;
	while ((option = getopt(argc, argv, "r:c:d:u:p:")) != -1) {
		if (option == 'r')
			run.rate = load_number(optarg);
		else if (option == 'c')
			run.slot_count = (size_t)load_number(optarg);
		else if (option == 'd')
			seconds = load_number(optarg);
		else if (option == 'u')
			upload = (size_t)load_number(optarg);
		else if (option == 'p')
			path = optarg;
		else
			return 64;
	}
	if (optind + 1 != argc || run.slot_count == 0)
		return 64;
	run.port = (unsigned)load_number(argv[optind]);
	build_request(&run, path, upload);
	run.slots = calloc(run.slot_count, sizeof *run.slots);
	run.idle = calloc(run.slot_count, sizeof *run.idle);
	run.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (run.slots == NULL || run.idle == NULL || run.epoll == -1)
		load_fail("cannot start");
	for (size_t i = 0; i < run.slot_count; i++) {
		run.slots[i].fd = -1;
		make_idle(&run, &run.slots[i]);
	}
	run.opened = load_now();
	run.start = run.opened + (uint64_t)(seconds * 0.15 * 1e9);
	run.end = run.opened + (uint64_t)(seconds * 1.15 * 1e9);
	drive(&run);
	printf("{\"all\": %lu, \"sent\": %lu, \"answered\": %lu, \"errors\": %lu, \"retried\": %lu, "
	       "\"rate\": %.1f, "
	       "\"body_rate\": %.1f, ",
	    run.all, run.sent, run.answered, run.errors, run.retried, (double)run.answered / seconds,
	    (double)run.body / seconds);
	load_times_print(&run.times);
	printf("}\n");
	return 0;
}
