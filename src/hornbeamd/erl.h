/* The command that runs the companion, and the terms that go to it and come from it. */
#ifndef HB_HORNBEAMD_ERL_H
#define HB_HORNBEAMD_ERL_H

#include <stddef.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"
#include "config/config.h"

struct hb_erl {
	char *path; /* of erl */
	char **argv;
	char **envp;
};

/* Finds erl and makes its arguments and environment.  HB_ERROR_DOWN where there is no erl. */
int hb_erl_init(struct hb_erl *erl, const struct hb_config *config, const char *home, struct hb_error *err)
    HB_WARN_UNUSED;
void hb_erl_free(struct hb_erl *erl);

/* Appends the configuration, with the four bytes of its length in front. */
void hb_erl_put_config(struct hb_buf *out, const struct hb_config *config, const char *link_path);
/* The same for a change of what may change while the companion runs; it answers with the number. */
void hb_erl_put_reload(struct hb_buf *out, const struct hb_config *config, uint64_t number);
enum hb_erl_word {
	HB_ERL_READY,    /* number is the process id */
	HB_ERL_RELOADED, /* number is that of hb_erl_put_reload; and so the next */
	HB_ERL_REFUSED   /* err says why */
};

struct hb_erl_answer {
	enum hb_erl_word word;
	int64_t number;
};

/* Reads an answer.  -1 with err when the companion failed (HB_ERROR_REMOTE), or makes no sense. */
int hb_erl_read(const void *p, size_t len, struct hb_erl_answer *out, struct hb_error *err) HB_WARN_UNUSED;

#endif
