/*
 * The yardstick of the HTTP figures: the least that a libevent server can do
 * in C.  Raw events, one read, one write a request, no parsing beyond the end
 * of the head.  Usage: responder PORT
 */
#include <event2/event.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\n"
			     "Server: hornbeam\r\n"
			     "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
			     "Content-Type: text/plain\r\n"
			     "Content-Length: 12\r\n"
			     "\r\n"
			     "hello world\n";

struct peer {
	struct event *event;
	size_t len;
	char in[4096];
};

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct peer *peer = arg;
	ssize_t n = read(fd, peer->in + peer->len, sizeof peer->in - peer->len - 1);

	if (n <= 0) {
		event_free(peer->event);
		free(peer);
		close(fd);
		return;
	}
	peer->len += (size_t)n;
	peer->in[peer->len] = '\0';
	if (strstr(peer->in, "\r\n\r\n") == NULL)
		return;
	peer->len = 0;
	if (write(fd, answer, sizeof answer - 1) == -1)
		shutdown(fd, SHUT_RDWR);
}

static void
on_connection(evutil_socket_t fd, short what, void *arg)
{
	int on = 1, s = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
	struct peer *peer;

	if (s == -1)
		return;
	peer = calloc(1, sizeof *peer);
	if (peer == NULL)
		abort();
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	peer->event = event_new(arg, s, EV_READ | EV_PERSIST, on_readable, peer);
	event_add(peer->event, NULL);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct event_base *base = event_base_new();
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct event *event;

	if (argc != 2 || fd == -1)
		return 64;
	sin.sin_port = htons((uint16_t)atoi(argv[1]));
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&sin, sizeof sin) == -1 || listen(fd, 512) == -1) {
		perror("responder");
		return 73;
	}
	event = event_new(base, fd, EV_READ | EV_PERSIST, on_connection, base);
	event_add(event, NULL);
	event_base_dispatch(base);
	return 0;
}
