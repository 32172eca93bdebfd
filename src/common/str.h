/* Strings: memory that must be there, and the nearest name for a suggestion. */
#ifndef HB_COMMON_STR_H
#define HB_COMMON_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Small allocations at set-up: these end the program when memory is out. */
void *hb_xmalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *hb_xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *hb_xrealloc(void *p, size_t n) __attribute__((returns_nonnull));
char *hb_xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *hb_xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *hb_xasprintf(const char *fmt, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

/* The edit distance of two names, transpositions counted once. */
size_t hb_str_distance(const char *a, const char *b);
/* Of names (NULL at the end) the one nearest to name, or NULL if none is near. */
const char *hb_str_nearest(const char *name, const char *const *names);
/* Whether the n bytes at p are UTF-8 (RFC 3629: no surrogates, shortest form). */
bool hb_str_is_utf8(const void *p, size_t n);

#endif
