/*
 * The cause of a failure, handed to the caller, who reports it once.
 * A function that can fail through a peer, a user or a file takes a
 * struct hb_error and returns -1 or NULL after hb_error_set.
 */
#ifndef HB_COMMON_ERROR_H
#define HB_COMMON_ERROR_H

#define HB_WARN_UNUSED __attribute__((warn_unused_result))
#define HB_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* What kind of failure it was; every room uses the same kinds. */
enum hb_error_kind {
	HB_ERROR_NONE,
	HB_ERROR_SYSTEM,     /* a system call failed */
	HB_ERROR_MEMORY,     /* out of memory */
	HB_ERROR_CONFIG,     /* the configuration is wrong */
	HB_ERROR_USAGE,      /* the command line is wrong */
	HB_ERROR_BIND,       /* an address or a file cannot be taken */
	HB_ERROR_PERMISSION, /* not permitted */
	HB_ERROR_PROTOCOL,   /* a peer broke the protocol */
	HB_ERROR_VERSION,    /* the two sides are of different versions */
	HB_ERROR_CONNECT,    /* no connection, or the connection was lost */
	HB_ERROR_TIMEOUT,    /* the deadline passed */
	HB_ERROR_INTERRUPT,  /* the caller's interrupt hook asked to stop */
	HB_ERROR_TYPE,       /* a value of the wrong type */
	HB_ERROR_VALUE,      /* a value out of its range */
	HB_ERROR_LIMIT,      /* a configured or built-in limit was hit */
	HB_ERROR_MISSING,    /* nothing has that name */
	HB_ERROR_DOWN,       /* the companion is down */
	HB_ERROR_REMOTE,     /* the remote side raised */
	HB_ERROR_APPLICATION /* the Python application failed */
};

struct hb_error {
	enum hb_error_kind kind;
	int saved_errno;
	char text[512];
};

/* Sets kind and text (cut to the space there is).  Always returns -1. */
int hb_error_set(struct hb_error *err, enum hb_error_kind kind, const char *fmt, ...) HB_PRINTF(3, 4);
/* The same, with ": " and the text of errno behind it. */
int hb_error_errno(struct hb_error *err, enum hb_error_kind kind, const char *fmt, ...) HB_PRINTF(3, 4);

#endif
