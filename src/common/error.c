/* The cause of a failure: see error.h. */
#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
hb_error_set(struct hb_error *err, enum hb_error_kind kind, const char *fmt, ...)
{
	va_list ap;

	err->kind = kind;
	err->saved_errno = 0;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	return -1;
}

int
hb_error_errno(struct hb_error *err, enum hb_error_kind kind, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	size_t len;

	err->kind = kind;
	err->saved_errno = saved;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	len = strlen(err->text);
	snprintf(err->text + len, sizeof err->text - len, ": %s", strerror(saved));
	errno = saved;
	return -1;
}
