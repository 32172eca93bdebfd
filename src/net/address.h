/*
 * Addresses as the configuration and the logs write them: "127.0.0.1:8000",
 * "[::1]:8000", "unix:/path".  Hosts are numeric.
 */
#ifndef HB_NET_ADDRESS_H
#define HB_NET_ADDRESS_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/error.h"

struct hb_address {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
	socklen_t len;
};

/* The longest text that hb_address_format writes, with its NUL. */
#define HB_ADDRESS_TEXT (sizeof "unix:" + sizeof(((struct sockaddr_un *)0)->sun_path))

int hb_address_parse(struct hb_address *address, const char *text, struct hb_error *err) HB_WARN_UNUSED;
/* "unix:" alone for the unnamed end of a Unix socket. */
void hb_address_format(const struct hb_address *address, char out[HB_ADDRESS_TEXT]);
/*
 * The host alone, without brackets, as REMOTE_ADDR has it (out holds at least
 * HB_ADDRESS_TEXT), and the port, 0 for Unix sockets.
 */
uint16_t hb_address_host(const struct hb_address *address, char out[HB_ADDRESS_TEXT]);

#endif
