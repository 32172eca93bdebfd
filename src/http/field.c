/* Header fields: the known names, tokens, values and lists. */
#include "http/field.h"

#include <string.h>

#define HB_HTTP_HASH(len, first, inner, last) \
	((uint32_t)(((uint32_t)(len) | (uint32_t)(first) << 8 | (uint32_t)(inner) << 16 | \
			(uint32_t)(last) << 24) * \
		 0xcd54d6fbu) >> \
	    24)

const struct hb_http_name hb_http_names[HB_HTTP_F_COUNT] = {
#define HB_HTTP_NAME(id, name, a, b, c) [HB_HTTP_F_##id] = { name, sizeof(name) - 1 },
	HB_HTTP_FIELDS(HB_HTTP_NAME)
#undef HB_HTTP_NAME
};

static const uint8_t slots[256] = {
#define HB_HTTP_SLOT(id, name, a, b, c) [HB_HTTP_HASH(sizeof(name) - 1, a, b, c)] = HB_HTTP_F_##id,
	HB_HTTP_FIELDS(HB_HTTP_SLOT)
#undef HB_HTTP_SLOT
};

_Static_assert(HB_HTTP_F_COUNT <= 256, "the number of a name is a byte");

/* clang-format off */
const unsigned char hb_http_token[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, '!', 0, '#', '$', '%', '&', '\'', 0, 0, '*', '+', 0, '-', '.', 0,
	'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 0, 0, 0, 0, 0, 0,
	0, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
	'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, 0, 0, '^', '_',
	'`', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
	'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, '|', 0, '~', 0,
};
/* clang-format on */

enum hb_http_field_id
hb_http_field_lookup(const unsigned char *name, size_t len)
{
	uint8_t id;

	if (len == 0)
		return HB_HTTP_F_OTHER;
	id = slots[HB_HTTP_HASH(len, hb_http_token[name[0]], hb_http_token[name[len * 3 / 4]],
	    hb_http_token[name[len - 1]])];
	/* Applications write most names in lower case. */
	if (id != HB_HTTP_F_OTHER && hb_http_names[id].len == len &&
	    (memcmp(name, hb_http_names[id].text, len) == 0 || hb_http_equal(name, len, hb_http_names[id].text)))
		return (enum hb_http_field_id)id;
	return HB_HTTP_F_OTHER;
}

bool
hb_http_is_token(const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (hb_http_token[p[i]] == 0)
			return false;
	return len > 0;
}

/* Whether one of the eight bytes is below SP or DEL; HTAB counts as one here. */
static bool
word_has_control(uint64_t w)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
	uint64_t del = w ^ (ones * 0x7f);

	return (((w - ones * 0x20) & ~w & tops) | ((del - ones) & ~del & tops)) != 0;
}

bool
hb_http_is_value(const unsigned char *p, size_t len)
{
	size_t i = 0;

	while (i < len) {
		if (len - i >= 8) {
			uint64_t w;

			memcpy(&w, p + i, sizeof(w));
			if (!word_has_control(w)) {
				i += 8;
				continue;
			}
		}
		if ((p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
			return false;
		i++;
	}
	return true;
}

bool
hb_http_equal(const unsigned char *p, size_t len, const char *word)
{
	for (size_t i = 0; i < len; i++)
		if (word[i] == '\0' || hb_http_token[p[i]] != (unsigned char)word[i])
			return false;
	return word[len] == '\0';
}

bool
hb_http_list_next(const unsigned char *p, size_t len, size_t *pos, size_t *off, size_t *elen)
{
	while (*pos < len) {
		size_t start = *pos, end = start;

		while (end < len && p[end] != ',')
			end++;
		*pos = end + 1;
		while (start < end && (p[start] == ' ' || p[start] == '\t'))
			start++;
		while (start < end && (p[end - 1] == ' ' || p[end - 1] == '\t'))
			end--;
		if (start < end) {
			*off = start;
			*elen = end - start;
			return true;
		}
	}
	return false;
}
