/* Strings: see str.h. */
#include "common/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = 63 };

static void __attribute__((noreturn))
out_of_memory(void)
{
	fputs("hornbeam: out of memory\n", stderr);
	abort();
}

void *
hb_xmalloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *
hb_xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *
hb_xrealloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (p == NULL)
		out_of_memory();
	return p;
}

char *
hb_xstrdup(const char *s)
{
	return hb_xstrndup(s, strlen(s));
}

char *
hb_xstrndup(const char *s, size_t n)
{
	char *p;

	n = strnlen(s, n);
	p = hb_xmalloc(n + 1);
	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *
hb_xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	if (vasprintf(&p, fmt, ap) == -1)
		out_of_memory();
	va_end(ap);
	return p;
}

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

size_t
hb_str_distance(const char *a, const char *b)
{
	size_t row[3][NAME_MAX_LEN + 1];
	size_t la = strnlen(a, NAME_MAX_LEN), lb = strnlen(b, NAME_MAX_LEN);

	for (size_t j = 0; j <= lb; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
	}
	return row[la % 3][lb];
}

const char *
hb_str_nearest(const char *name, const char *const *names)
{
	size_t best = strlen(name) / 3 + 1;
	const char *found = NULL;

	for (; *names != NULL; names++) {
		size_t d = hb_str_distance(name, *names);

		if (d <= best && (found == NULL || d < best)) {
			best = d;
			found = *names;
		}
	}
	return found;
}

bool
hb_str_is_utf8(const void *p, size_t n)
{
	const unsigned char *s = p, *end = s + n;

	while (s < end) {
		unsigned char c = *s++;
		unsigned char low = 0x80, high = 0xbf;
		int more;

		if (c < 0x80)
			continue;
		if (c >= 0xc2 && c <= 0xdf)
			more = 1;
		else if (c >= 0xe0 && c <= 0xef)
			more = 2;
		else if (c >= 0xf0 && c <= 0xf4)
			more = 3;
		else
			return false;
		if (c == 0xe0)
			low = 0xa0;
		else if (c == 0xed)
			high = 0x9f;
		else if (c == 0xf0)
			low = 0x90;
		else if (c == 0xf4)
			high = 0x8f;
		for (; more > 0; more--) {
			if (s == end || *s < low || *s > high)
				return false;
			low = 0x80;
			high = 0xbf;
			s++;
		}
	}
	return true;
}
