/* The first exchange on a link: see hello.h. */
#include "link/hello.h"

#include <string.h>

#include "term/term.h"

void
hb_hello_request(struct hb_buf *out, const struct hb_hello *hello)
{
	size_t start = out->len;
	unsigned char *head = hb_buf_reserve(out, HB_LINK_HEADER);

	if (head == NULL)
		return;
	out->len += HB_LINK_HEADER;
	hb_term_put_version(out);
	hb_term_put_tuple(out, 7);
	hb_term_put_atom(out, "hello");
	hb_term_put_str(out, PACKAGE_VERSION);
	hb_term_put_str(out, hello->role);
	hb_term_put_str(out, hello->name);
	hb_term_put_int(out, (int64_t)hello->uid);
	hb_term_put_int(out, (int64_t)hello->gid);
	hb_term_put_int(out, (int64_t)hello->pid);
	if (!out->failed)
		hb_frame_header(out->data + start, out->len - start, HB_OP_HELLO, 0, 0, 0);
}

static int
other_release(const char *theirs, int len, const char *where, struct hb_error *err)
{
	return hb_error_set(err, HB_ERROR_VERSION,
	    "this is Hornbeam " PACKAGE_VERSION ", but %s is of release %.*s: restart whichever is the older", where,
	    len, theirs);
}

int
hb_hello_check(const struct hb_frame *reply, const char *where, struct hb_error *err)
{
	struct hb_term_reader reader;
	const unsigned char *release;
	char name[16];
	uint32_t arity;
	size_t len;

	if (reply->flags & HB_LINK_ERROR) {
		hb_frame_error(reply->payload, reply->len, err);
		return -1;
	}
	if (reply->version != HB_LINK_VERSION)
		return hb_error_set(err, HB_ERROR_VERSION,
		    "this is Hornbeam " PACKAGE_VERSION " with version %d of the link, but %s speaks version %d", HB_LINK_VERSION,
		    where, reply->version);
	if (reply->op != HB_OP_HELLO || reply->flags != HB_LINK_REPLY ||
	    hb_term_open(&reader, reply->payload, reply->len, err) == -1 ||
	    hb_term_want_tuple(&reader, &arity, err) == -1 || arity != 3 ||
	    hb_term_want_atom(&reader, name, sizeof name, err) == -1 || strcmp(name, "hello") != 0 ||
	    hb_term_want_binary(&reader, &release, &len, err) == -1)
		return hb_error_set(err, HB_ERROR_PROTOCOL, "%s does not answer as a companion does", where);
	if (len != strlen(PACKAGE_VERSION) || memcmp(release, PACKAGE_VERSION, len) != 0)
		return other_release((const char *)release, (int)len, where, err);
	return 0;
}
