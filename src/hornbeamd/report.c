/* Status and workers as terms: see report.h. */
#include "hornbeamd/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "hornbeamd/companion.h"
#include "hornbeamd/generation.h"
#include "hornbeamd/workers.h"
#include "term/term.h"

static void
put_text(struct hb_buf *out, const char *key, const char *text)
{
	hb_term_put_str(out, key);
	hb_term_put_str(out, text);
}

static void
put_count(struct hb_buf *out, const char *key, uint64_t n)
{
	hb_term_put_str(out, key);
	hb_term_put_uint(out, n);
}

static void
put_pid(struct hb_buf *out, pid_t pid)
{
	hb_term_put_str(out, "pid");
	if (pid > 0)
		hb_term_put_int(out, pid);
	else
		hb_term_put_atom(out, "undefined");
}

/* The counters that a worker's map and the totals have in common. */
enum { COUNTERS = 7 };

static void
add_counters(uint64_t sum[COUNTERS], const struct hb_worker_counters *c)
{
	sum[0] += atomic_load_explicit(&c->requests, memory_order_relaxed);
	sum[1] += atomic_load_explicit(&c->errors, memory_order_relaxed);
	sum[2] += atomic_load_explicit(&c->bad_requests, memory_order_relaxed);
	sum[3] += atomic_load_explicit(&c->bytes_in, memory_order_relaxed);
	sum[4] += atomic_load_explicit(&c->bytes_out, memory_order_relaxed);
	sum[5] += atomic_load_explicit(&c->connections, memory_order_relaxed);
	sum[6] += atomic_load_explicit(&c->active, memory_order_relaxed);
}

static void
put_counters(struct hb_buf *out, const uint64_t sum[COUNTERS])
{
	static const char *const names[COUNTERS] = {
	    "requests", "errors", "bad_requests", "bytes_in", "bytes_out", "connections", "active"};

	for (size_t i = 0; i < COUNTERS; i++)
		put_count(out, names[i], sum[i]);
}

static void
put_listen(const struct hb_master *m, struct hb_buf *out)
{
	char address[HB_ADDRESS_TEXT];

	hb_term_put_str(out, "listen");
	hb_term_put_list(out, (uint32_t)m->generation->listeners_count);
	for (size_t i = 0; i < m->generation->listeners_count; i++) {
		hb_address_format(&m->generation->listeners[i].at.address, address);
		hb_term_put_str(out, address);
	}
	if (m->generation->listeners_count > 0)
		hb_term_put_nil(out);
}

static void
put_companion(const struct hb_master *m, struct hb_buf *out)
{
	struct hb_companion_info info;

	hb_companion_info(m->companion, &info);
	hb_term_put_str(out, "companion");
	hb_term_put_map(out, 5);
	put_text(out, "kind", info.kind);
	put_text(out, "state", hb_companion_state_name(info.state));
	put_pid(out, info.pid);
	put_count(out, "uptime_ms", (uint64_t)info.uptime_ms);
	put_count(out, "restarts", info.restarts);
}

static void
put_pool(const struct hb_master *m, struct hb_buf *out)
{
	hb_term_put_str(out, "workers");
	hb_term_put_map(out, 3);
	put_count(out, "configured", m->config->workers);
	put_count(out, "ready", hb_workers_ready(m->workers));
	put_count(out, "restarts", hb_workers_restarts(m->workers));
}

static void
add_totals(const struct hb_master *m, uint64_t sum[COUNTERS])
{
	const struct hb_worker_past *past = hb_workers_past(m->workers);
	const uint64_t gone[COUNTERS] = {
	    past->requests, past->errors, past->bad_requests, past->bytes_in, past->bytes_out};
	uint32_t used = atomic_load_explicit(&m->shared->used, memory_order_relaxed);

	memcpy(sum, gone, sizeof gone);
	for (uint32_t i = 0; i < used; i++)
		add_counters(sum, &m->shared->slots[i]);
}

void
hb_report_status(const struct hb_master *m, struct hb_buf *out)
{
	uint64_t sum[COUNTERS];

	add_totals(m, sum);
	hb_term_put_map(out, 10);
	put_text(out, "version", PACKAGE_VERSION);
	put_pid(out, getpid());
	put_count(out, "uptime_ms", (uint64_t)(hb_clock_ms() - m->started_ms));
	put_text(out, "state", hb_master_state_name(m->state));
	put_text(out, "user", m->identity.user);
	hb_term_put_str(out, "config_file");
	if (m->config_file != NULL)
		hb_term_put_str(out, m->config_file);
	else
		hb_term_put_atom(out, "undefined");
	put_listen(m, out);
	put_companion(m, out);
	put_pool(m, out);
	hb_term_put_str(out, "totals");
	hb_term_put_map(out, COUNTERS);
	put_counters(out, sum);
}

/* Resident memory of a process, 0 when it has just gone. */
static uint64_t
resident_bytes(pid_t pid)
{
	char path[32];
	unsigned long pages = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	f = pid > 0 ? fopen(path, "re") : NULL;
	if (f == NULL)
		return 0;
	if (fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
put_worker(const struct hb_master *m, const struct hb_worker_info *info, struct hb_buf *out)
{
	uint64_t own[COUNTERS] = {0};

	add_counters(own, &m->shared->slots[info->slot]);
	hb_term_put_map(out, 6 + COUNTERS);
	put_count(out, "index", info->index);
	put_pid(out, info->pid);
	put_text(out, "state", hb_worker_state_name(info->state));
	put_count(out, "uptime_ms", (uint64_t)info->uptime_ms);
	put_count(out, "restarts", info->restarts);
	put_count(out, "rss_bytes", resident_bytes(info->pid));
	put_counters(out, own);
}

void
hb_report_workers(const struct hb_master *m, struct hb_buf *out)
{
	size_t count;
	struct hb_worker_info *infos = hb_workers_list(m->workers, &count);

	hb_term_put_list(out, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		put_worker(m, &infos[i], out);
	if (count > 0)
		hb_term_put_nil(out);
	free(infos);
}
