/* Status reasons, dates, checks and chunk lines for responses. */
#include "http/response.h"

#include <string.h>

#include "http/field.h"

/* Of RFC 9110 15, and of RFCs 2518, 4918, 5842, 6585, 7725, 8297, 8470. */
static const struct {
	unsigned status;
	const char *reason;
} reasons[] = {
	{ 100, "Continue" },
	{ 101, "Switching Protocols" },
	{ 102, "Processing" },
	{ 103, "Early Hints" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 203, "Non-Authoritative Information" },
	{ 204, "No Content" },
	{ 205, "Reset Content" },
	{ 206, "Partial Content" },
	{ 207, "Multi-Status" },
	{ 208, "Already Reported" },
	{ 226, "IM Used" },
	{ 300, "Multiple Choices" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 305, "Use Proxy" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 402, "Payment Required" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 407, "Proxy Authentication Required" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 423, "Locked" },
	{ 424, "Failed Dependency" },
	{ 425, "Too Early" },
	{ 426, "Upgrade Required" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 451, "Unavailable For Legal Reasons" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 506, "Variant Also Negotiates" },
	{ 507, "Insufficient Storage" },
	{ 508, "Loop Detected" },
	{ 510, "Not Extended" },
	{ 511, "Network Authentication Required" },
};

const char *
hb_http_reason(unsigned status)
{
	size_t low = 0, high = sizeof(reasons) / sizeof(reasons[0]);

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (reasons[middle].status == status)
			return reasons[middle].reason;
		if (reasons[middle].status < status)
			low = middle + 1;
		else
			high = middle;
	}
	return "";
}

bool
hb_http_bodyless(unsigned status, bool head_method)
{
	return head_method || status < 200 || status == 204 || status == 205 || status == 304;
}

/* Two digits of n at out. */
static void
two_digits(char *out, int n)
{
	out[0] = (char)('0' + n / 10 % 10);
	out[1] = (char)('0' + n % 10);
}

const char *
hb_http_date(struct hb_http_date *date, time_t now)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm;

	if (date->second == now)
		return date->text;
	/* Not strftime, which writes the names of the locale that an application may set. */
	memcpy(date->text, "Thu, 01 Jan 1970 00:00:00 GMT", HB_HTTP_DATE_LEN + 1);
	date->second = now;
	if (gmtime_r(&now, &tm) == NULL || tm.tm_year > 9999 - 1900)
		return date->text;
	memcpy(date->text, days + tm.tm_wday * 3, 3);
	two_digits(date->text + 5, tm.tm_mday);
	memcpy(date->text + 8, months + tm.tm_mon * 3, 3);
	two_digits(date->text + 12, (tm.tm_year + 1900) / 100);
	two_digits(date->text + 14, (tm.tm_year + 1900) % 100);
	two_digits(date->text + 17, tm.tm_hour);
	two_digits(date->text + 20, tm.tm_min);
	two_digits(date->text + 23, tm.tm_sec);
	return date->text;
}

bool
hb_http_name_ok(const char *p, size_t len)
{
	return hb_http_is_token((const unsigned char *)p, len);
}

bool
hb_http_value_ok(const char *p, size_t len)
{
	return hb_http_is_value((const unsigned char *)p, len);
}

bool
hb_http_hop_by_hop(const char *name, size_t len)
{
	switch (hb_http_field_lookup((const unsigned char *)name, len)) {
	case HB_HTTP_F_CONNECTION:
	case HB_HTTP_F_KEEP_ALIVE:
	case HB_HTTP_F_PROXY_AUTHENTICATE:
	case HB_HTTP_F_PROXY_AUTHORIZATION:
	case HB_HTTP_F_PROXY_CONNECTION:
	case HB_HTTP_F_TE:
	case HB_HTTP_F_TRAILER:
	case HB_HTTP_F_TRANSFER_ENCODING:
	case HB_HTTP_F_UPGRADE:
		return true;
	default:
		return false;
	}
}

size_t
hb_http_chunk_line(char out[HB_HTTP_CHUNK_LINE], uint64_t n)
{
	size_t len = 1;

	for (uint64_t rest = n >> 4; rest != 0; rest >>= 4)
		len++;
	for (size_t i = len; i > 0; i--, n >>= 4)
		out[i - 1] = "0123456789abcdef"[n & 15];
	out[len] = '\r';
	out[len + 1] = '\n';
	return len + 2;
}
