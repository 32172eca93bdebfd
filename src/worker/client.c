/* The client behind a trusted proxy: see conn.h. */
#include "worker/state.h"

void
hb_conn_client_reset(struct hb_conn *c)
{
	struct hb_py_request *r = &c->request;

	r->remote_addr = c->remote_addr;
	r->remote_port = c->remote_port;
	r->forwarded = false;
	r->secure = false;
}

void
hb_conn_client_read(struct hb_conn *c)
{
	struct hb_http_request *head = &c->parser.request;
	struct hb_forwarded *client = &c->client;
	struct hb_py_request *r = &c->request;

	if (!c->trusted || !head->forwarded)
		return;
	hb_forwarded_read(client, c->worker->trust, head, c->in + c->start);
	if (client->has_client) {
		r->remote_addr = client->addr;
		r->remote_port = client->port;
		r->forwarded = true;
	}
	if (client->has_scheme)
		r->secure = client->secure;
	if (client->host.len > 0 && c->worker->config->forwarded.host)
		hb_http_replace_host(head, client->host);
}
