/*
 * The framing of HTTP/1.x responses for the load generators.
 */
#include "reply.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void
reply_reset(struct reply *reply)
{
	memset(reply, 0, offsetof(struct reply, line));
}

static const char *
value_of(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	return line + n + 1 + strspn(line + n + 1, " ");
}

static enum reply_result
end_of_head(struct reply *reply)
{
	if (reply->status < 200) {
		reply_reset(reply);
		return REPLY_MORE;
	}
	if (reply->chunked)
		reply->state = REPLY_SIZE;
	else if (reply->sized)
		reply->state = REPLY_BODY;
	else
		reply->state = REPLY_REST;
	return reply->state == REPLY_BODY && reply->left == 0 ? REPLY_DONE : REPLY_MORE;
}

static enum reply_result
take_line(struct reply *reply, const char *line)
{
	const char *value;

	switch (reply->state) {
	case REPLY_STATUS:
		if (strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) < 12)
			return REPLY_BAD;
		reply->close = line[7] == '0';
		reply->status = atoi(line + 9);
		reply->state = REPLY_HEAD;
		break;
	case REPLY_HEAD:
		if (*line == '\0')
			return end_of_head(reply);
		if ((value = value_of(line, "Content-Length")) != NULL) {
			reply->sized = true;
			reply->left = strtoull(value, NULL, 10);
		} else if ((value = value_of(line, "Transfer-Encoding")) != NULL) {
			reply->chunked = strcasecmp(value, "chunked") == 0;
		} else if ((value = value_of(line, "Connection")) != NULL) {
			reply->close = strcasecmp(value, "close") == 0;
		}
		break;
	case REPLY_SIZE:
		reply->left = strtoull(line, NULL, 16);
		reply->state = reply->left == 0 ? REPLY_TRAILER : REPLY_CHUNK;
		break;
	case REPLY_CHUNK_END:
		reply->state = REPLY_SIZE;
		return *line == '\0' ? REPLY_MORE : REPLY_BAD;
	case REPLY_TRAILER:
		return *line == '\0' ? REPLY_DONE : REPLY_MORE;
	case REPLY_BODY:
	case REPLY_REST:
	case REPLY_CHUNK:
		return REPLY_BAD;
	}
	return REPLY_MORE;
}

/* The bytes of a line, which may come in parts. */
static enum reply_result
feed_line(struct reply *reply, const char *bytes, size_t n, size_t *used)
{
	const char *end = memchr(bytes, '\n', n);
	size_t part = end != NULL ? (size_t)(end - bytes) : n;

	if (reply->len + part >= sizeof reply->line)
		return REPLY_BAD;
	memcpy(reply->line + reply->len, bytes, part);
	reply->len += part;
	*used = part + (end != NULL);
	if (end == NULL)
		return REPLY_MORE;
	if (reply->len > 0 && reply->line[reply->len - 1] == '\r')
		reply->len--;
	reply->line[reply->len] = '\0';
	reply->len = 0;
	return take_line(reply, reply->line);
}

static enum reply_result
feed_body(struct reply *reply, size_t n, size_t *used)
{
	*used = n;
	if (reply->state != REPLY_REST) {
		*used = reply->left < n ? (size_t)reply->left : n;
		reply->left -= *used;
	}
	reply->body += *used;
	if (reply->state == REPLY_REST || reply->left > 0)
		return REPLY_MORE;
	if (reply->state == REPLY_BODY)
		return REPLY_DONE;
	reply->state = REPLY_CHUNK_END;
	return REPLY_MORE;
}

enum reply_result
reply_feed(struct reply *reply, const char *bytes, size_t n, size_t *used)
{
	enum reply_result result = REPLY_MORE;
	size_t part = 0;

	*used = 0;
	while (result == REPLY_MORE && *used < n) {
		if (reply->state == REPLY_BODY || reply->state == REPLY_REST || reply->state == REPLY_CHUNK)
			result = feed_body(reply, n - *used, &part);
		else
			result = feed_line(reply, bytes + *used, n - *used, &part);
		*used += part;
	}
	return result;
}

enum reply_result
reply_end(const struct reply *reply)
{
	return reply->state == REPLY_REST ? REPLY_DONE : REPLY_BAD;
}
