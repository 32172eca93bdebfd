/* The interpreter and the applications of a worker. */
#ifndef HB_WORKER_APPLICATIONS_H
#define HB_WORKER_APPLICATIONS_H

struct hb_worker;

/* Imports all of them, which leaves the interpreter entered.  Returns the exit status, logged where it is not EX_OK. */
int hb_applications_start(struct hb_worker *w);
/* Ends the interpreter; it must be entered. */
void hb_applications_stop(struct hb_worker *w);

#endif
