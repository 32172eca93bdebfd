/*
 * A WebSocket load generator: clients that send a text message and wait for
 * its echo.  Prints one line of JSON; times are in microseconds.
 *
 * Usage: wsload echo PORT CLIENTS SECONDS SIZE [deflate]
 *            all clients, each sending again once it has its echo
 *        wsload idle PORT CLIENTS ECHOES SIZE [deflate]
 *            the clients send one message each and stay; then one more client
 *            sends ECHOES messages, one after the other.  After its line the
 *            program holds the connections until its standard input ends.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OPENING_AT_ONCE = 64, OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

struct client {
	int fd;
	bool asked; /* for the handshake */
	bool open;
	bool echoed;   /* has had its first echo */
	char *head;    /* of the handshake's answer, while it comes */
	unsigned have; /* bytes of a frame's head */
	unsigned op;
	unsigned char frame[14];
	unsigned char control[125];
	unsigned control_len;
	uint64_t left;
	uint64_t sent_at;
};

struct run {
	unsigned port;
	bool deflate;
	int epoll;
	char request[512];
	unsigned char message[65536 + 32];
	size_t message_len;
	struct client *clients;
	size_t count;
	size_t opened; /* the handshake begun */
	size_t echoed; /* the first echo had */
	bool again;    /* send the next message once the echo is there */
	uint64_t messages;
	struct load_times *times; /* NULL: not counted now */
};

/* A masked frame; the mask is fixed, as nobody is to be kept from guessing it. */
static size_t
build_frame(unsigned char *out, unsigned first, const unsigned char *payload, size_t len)
{
	static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
	size_t at = 2;

	out[0] = (unsigned char)(0x80 | first);
	if (len < 126) {
		out[1] = (unsigned char)(0x80 | len);
	} else {
		out[1] = 0x80 | 126;
		out[2] = (unsigned char)(len >> 8);
		out[3] = (unsigned char)len;
		at = 4;
	}
	memcpy(out + at, mask, 4);
	at += 4;
	for (size_t i = 0; i < len; i++)
		out[at + i] = payload[i] ^ mask[i % 4];
	return at + len;
}

/* The message every client sends: text, as one stored block where deflate was agreed on. */
static void
build_message(struct run *run, size_t size)
{
	unsigned char plain[65536];
	size_t len = 0;

	if (size > 60000) {
		errno = 0;
		load_fail("a message has at most 60000 bytes");
	}
	if (run->deflate) {
		plain[len++] = 0;
		plain[len++] = (unsigned char)size;
		plain[len++] = (unsigned char)(size >> 8);
		plain[len++] = (unsigned char)~size;
		plain[len++] = (unsigned char)(~size >> 8);
	}
	for (size_t i = 0; i < size; i++)
		plain[len++] = (unsigned char)('a' + i * i % 26);
	if (run->deflate)
		plain[len++] = 0; /* the empty block whose 00 00 ff ff is left out */
	run->message_len = build_frame(run->message, OP_TEXT | (run->deflate ? 0x40 : 0), plain, len);
}

static void
lost(const char *why)
{
	errno = 0;
	load_fail("a client was refused or lost: %s", why);
}

static void
send_all(int fd, const void *bytes, size_t len)
{
	if (send(fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
		load_fail("send");
}

static void
send_message(struct run *run, struct client *client)
{
	client->sent_at = load_now();
	send_all(client->fd, run->message, run->message_len);
}

static void
open_client(struct run *run, struct client *client)
{
	struct epoll_event event = {
	    .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = client}};

	client->fd = load_connect(run->port, (unsigned)(client - run->clients));
	client->head = calloc(1, 2048);
	if (client->head == NULL || epoll_ctl(run->epoll, EPOLL_CTL_ADD, client->fd, &event) == -1)
		load_fail("cannot open a client");
}

static void
keep_opening(struct run *run)
{
	while (run->opened < run->count && run->opened - run->echoed < OPENING_AT_ONCE)
		open_client(run, &run->clients[run->opened++]);
}

/* Returns how many of the bytes belong to the handshake's answer. */
static size_t
take_handshake(struct run *run, struct client *client, const char *bytes, size_t n)
{
	size_t had = strlen(client->head), part = n < 2047 - had ? n : 2047 - had;
	char *end;

	memcpy(client->head + had, bytes, part);
	end = strstr(client->head, "\r\n\r\n");
	if (end == NULL) {
		if (had + part == 2047)
			lost("a head without end");
		return n;
	}
	end[2] = '\0';
	if (strncmp(client->head, "HTTP/1.1 101", 12) != 0)
		lost(client->head);
	if (run->deflate && strstr(client->head, "permessage-deflate") == NULL)
		lost("permessage-deflate was not accepted");
	part = (size_t)(end + 4 - client->head) - had;
	free(client->head);
	client->head = NULL;
	client->open = true;
	send_message(run, client);
	return part;
}

static void
end_of_message(struct run *run, struct client *client)
{
	unsigned char pong[140];

	if (client->op == OP_PING) {
		send_all(client->fd, pong, build_frame(pong, OP_PONG, client->control, client->control_len));
	} else if (client->op == OP_CLOSE) {
		lost("closed by the server");
	} else if (client->op != OP_PONG && (client->frame[0] & 0x80)) {
		uint64_t now = load_now();

		run->messages++;
		if (run->times != NULL)
			load_times_add(run->times, now - client->sent_at);
		run->echoed += !client->echoed;
		client->echoed = true;
		if (run->again)
			send_message(run, client);
	}
}

/* The length in a frame's head, once it is whole; -1 before. */
static int64_t
frame_length(const struct client *client)
{
	unsigned len = client->frame[1] & 0x7f, more = len == 126 ? 2 : len == 127 ? 8 : 0;
	int64_t value = 0;

	if (client->have < 2 + more)
		return -1;
	if (more == 0)
		return len;
	for (unsigned i = 0; i < more; i++)
		value = value << 8 | client->frame[2 + i];
	return value;
}

static void
take_frames(struct run *run, struct client *client, const unsigned char *bytes, size_t n)
{
	size_t i = 0;

	while (i < n) {
		if (client->left > 0) {
			size_t part = client->left < n - i ? (size_t)client->left : n - i;

			if (client->op >= OP_CLOSE && client->control_len + part <= sizeof client->control) {
				memcpy(client->control + client->control_len, bytes + i, part);
				client->control_len += (unsigned)part;
			}
			client->left -= part;
			i += part;
		} else {
			int64_t len;

			client->frame[client->have++] = bytes[i++];
			if (client->have < 2 || (len = frame_length(client)) == -1)
				continue;
			if (client->frame[1] & 0x80)
				lost("a masked frame");
			client->left = (uint64_t)len;
			client->op = client->frame[0] & 0x0f;
			client->control_len = 0;
			client->have = 0;
		}
		if (client->left == 0 && client->have == 0)
			end_of_message(run, client);
	}
}

static void
on_event(struct run *run, struct client *client, uint32_t what)
{
	static unsigned char bytes[65536];
	bool ends = (what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	ssize_t n;

	if (!client->asked && (what & EPOLLOUT)) {
		client->asked = true;
		send_all(client->fd, run->request, strlen(run->request));
		if (!(what & EPOLLIN))
			return;
	}
	do {
		size_t used = 0;

		n = recv(client->fd, bytes, sizeof bytes, 0);
		if (n == -1 && errno == EAGAIN)
			return;
		if (n <= 0)
			lost("connection closed");
		if (!client->open)
			used = take_handshake(run, client, (char *)bytes, (size_t)n);
		take_frames(run, client, bytes + used, (size_t)n - used);
	} while (ends || n == (ssize_t)sizeof bytes);
}

/* Runs until a time, until stdin ends, or until so many messages have come. */
static void
drive(struct run *run, uint64_t until, uint64_t messages)
{
	struct epoll_event events[256];

	while (run->messages < messages && load_now() < until) {
		int n = epoll_wait(run->epoll, events, 256, 50);

		for (int i = 0; i < n; i++)
			on_event(run, events[i].data.ptr, events[i].events);
		keep_opening(run);
		if (until == UINT64_MAX && messages == UINT64_MAX) {
			struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
			char byte;

			if (poll(&in, 1, 0) == 1 && read(STDIN_FILENO, &byte, 1) <= 0)
				return;
		}
	}
}

/* All clients are there, each with its first echo. */
static void
open_all(struct run *run)
{
	uint64_t until = load_now() + 60 * LOAD_SECOND;

	keep_opening(run);
	while (run->echoed < run->count) {
		drive(run, until, run->messages + 1);
		if (load_now() >= until) {
			errno = 0;
			load_fail(
			    "only %zu of %zu clients had an echo within a minute", run->echoed, run->count);
		}
	}
}

static void
print_times(const struct run *run, double seconds)
{
	printf("{\"all\": %lu, \"messages\": %lu, \"rate\": %.1f, ", run->messages, run->times->total,
	    (double)run->times->total / seconds);
	load_times_print(run->times);
	printf("}\n");
	fflush(stdout);
}

static void
echo(struct run *run, struct load_times *times, double seconds)
{
	run->again = true;
	open_all(run);
	drive(run, load_now() + (uint64_t)(seconds * 0.15 * 1e9), UINT64_MAX);
	run->times = times;
	drive(run, load_now() + (uint64_t)(seconds * 1e9), UINT64_MAX);
	print_times(run, seconds);
}

static void
idle(struct run *run, struct load_times *times, size_t echoes)
{
	uint64_t begin;

	open_all(run);
	run->count++; /* the one more */
	open_all(run);
	run->times = times;
	begin = load_now();
	for (size_t i = 0; i < echoes; i++) {
		send_message(run, &run->clients[run->count - 1]);
		drive(run, load_now() + 10 * LOAD_SECOND, run->messages + 1);
	}
	print_times(run, (double)(load_now() - begin) / 1e9);
	run->times = NULL;
	drive(run, UINT64_MAX, UINT64_MAX);
}

int
main(int argc, char **argv)
{
	static struct load_times times;
	static struct run run;

	if (argc < 6 || argc > 7 || (argc == 7 && strcmp(argv[6], "deflate") != 0))
		return 64;
	run.port = (unsigned)load_number(argv[2]);
	run.count = (size_t)load_number(argv[3]);
	run.deflate = argc == 7;
	run.clients = calloc(run.count + 1, sizeof *run.clients);
	run.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (run.clients == NULL || run.epoll == -1)
		load_fail("cannot start");
	snprintf(run.request, sizeof run.request,
	    "GET / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
	    run.port,
	    run.deflate ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "");
	build_message(&run, (size_t)load_number(argv[5]));
	if (strcmp(argv[1], "echo") == 0)
		echo(&run, &times, load_number(argv[4]));
	else if (strcmp(argv[1], "idle") == 0)
		idle(&run, &times, (size_t)load_number(argv[4]));
	else
		return 64;
	return 0;
}
