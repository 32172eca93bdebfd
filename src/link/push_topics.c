/* Topics, who subscribes to them, and the queues of messages: see push.h. */
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "link/push_state.h"

static uint32_t
hash(uint8_t op, const char *name, size_t len)
{
	uint32_t h = 2166136261u ^ op;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619u;
	return h;
}

struct hb_topic *
hb_topic_find(struct hb_push *push, uint8_t op, const char *name, size_t len)
{
	uint32_t h = hash(op, name, len);
	struct hb_topic *topic = push->topics_cap > 0 ? push->topics[h & (push->topics_cap - 1)] : NULL;

	while (topic != NULL && (topic->hash != h || topic->op != op || topic->len != len ||
	                            memcmp(topic->name, name, len) != 0))
		topic = topic->next;
	return topic;
}

static void
grow(struct hb_push *push)
{
	size_t cap = push->topics_cap == 0 ? 16 : push->topics_cap * 2;
	struct hb_topic **topics = hb_xcalloc(cap, sizeof *topics), *topic;

	for (size_t i = 0; i < push->topics_cap; i++)
		while ((topic = push->topics[i]) != NULL) {
			push->topics[i] = topic->next;
			topic->next = topics[topic->hash & (cap - 1)];
			topics[topic->hash & (cap - 1)] = topic;
		}
	free(push->topics);
	push->topics = topics;
	push->topics_cap = cap;
}

struct hb_topic *
hb_topic_get(struct hb_push *push, uint8_t op, const char *name, size_t len)
{
	struct hb_topic *topic = hb_topic_find(push, op, name, len), **at;

	if (topic != NULL)
		return topic;
	if (push->topics_count >= push->topics_cap)
		grow(push);
	topic = hb_xcalloc(1, sizeof *topic + len);
	topic->op = op;
	topic->hash = hash(op, name, len);
	topic->len = len;
	memcpy(topic->name, name, len);
	LIST_INIT(&topic->members);
	TAILQ_INIT(&topic->waits);
	at = &push->topics[topic->hash & (push->topics_cap - 1)];
	topic->next = *at;
	*at = topic;
	push->topics_count++;
	return topic;
}

void
hb_topic_release(struct hb_push *push, struct hb_topic *topic)
{
	struct hb_topic **at;

	if (topic->n > 0 || topic->holders > 0 || topic->dirty || topic->losing)
		return;
	for (at = &push->topics[topic->hash & (push->topics_cap - 1)]; *at != topic; at = &(*at)->next)
		;
	*at = topic->next;
	push->topics_count--;
	free(topic);
}

void
hb_topic_changed(struct hb_push *push, struct hb_topic *topic)
{
	if (push->fd == -1) {
		hb_topic_release(push, topic);
		return;
	}
	if (!topic->dirty) {
		topic->dirty = true;
		TAILQ_INSERT_TAIL(&push->dirty, topic, link);
	}
	hb_push_flush(push);
}

void
hb_topics_say_all(struct hb_push *push)
{
	for (size_t i = 0; i < push->topics_cap; i++)
		for (struct hb_topic *topic = push->topics[i]; topic != NULL; topic = topic->next)
			if (topic->n > 0 && !topic->dirty) {
				topic->dirty = true;
				TAILQ_INSERT_TAIL(&push->dirty, topic, link);
			}
}

void
hb_topics_lost(struct hb_push *push)
{
	struct hb_push_wait *wait;
	struct hb_topic *topic;
	uint64_t count;

	/* The next companion counts from 0. */
	while ((topic = hb_topics_losing(push, &count)) != NULL)
		hb_topic_release(push, topic);
	while ((topic = TAILQ_FIRST(&push->dirty)) != NULL) {
		TAILQ_REMOVE(&push->dirty, topic, link);
		topic->dirty = false;
		while ((wait = TAILQ_FIRST(&topic->waits)) != NULL) {
			TAILQ_REMOVE(&topic->waits, wait, of_reply);
			wait->in = NULL;
			wait->lost = true;
			hb_push_wake(push, wait);
		}
		hb_topic_release(push, topic);
	}
}

static void
missed(struct hb_push *push, struct hb_topic *topic, uint64_t count)
{
	if (count == 0)
		return;
	topic->missed += count;
	if (!topic->losing) {
		topic->losing = true;
		TAILQ_INSERT_TAIL(&push->losing, topic, of_losing);
	}
}

struct hb_topic *
hb_topics_losing(struct hb_push *push, uint64_t *count)
{
	struct hb_topic *topic = TAILQ_FIRST(&push->losing);

	if (topic == NULL)
		return NULL;
	TAILQ_REMOVE(&push->losing, topic, of_losing);
	topic->losing = false;
	*count = topic->missed;
	topic->missed = 0;
	return topic;
}

static void
remove_member(struct hb_member *member)
{
	LIST_REMOVE(member, of_topic);
	LIST_REMOVE(member, of_subscriber);
	member->subscriber->counts.topics--;
	member->topic->n--;
	free(member);
}

void
hb_topics_forget(struct hb_push *push)
{
	struct hb_topic *topic;

	TAILQ_INIT(&push->dirty);
	TAILQ_INIT(&push->losing);
	for (size_t i = 0; i < push->topics_cap; i++)
		while ((topic = push->topics[i]) != NULL) {
			push->topics[i] = topic->next;
			while (!LIST_EMPTY(&topic->members))
				remove_member(LIST_FIRST(&topic->members));
			free(topic);
		}
	push->topics_count = 0;
}

void
hb_topic_deliver(struct hb_push *push, struct hb_message *message)
{
	struct hb_topic *topic = hb_topic_find(push, HB_OP_SUBSCRIBE, message->topic, message->topic_len);
	struct hb_member *member;

	if (topic != NULL)
		LIST_FOREACH(member, &topic->members, of_topic)
			hb_subscriber_deliver(member->subscriber, message);
}

void
hb_topic_gap(struct hb_push *push, const char *name, size_t len, uint64_t count)
{
	struct hb_topic *topic = hb_topic_find(push, HB_OP_SUBSCRIBE, name, len);
	struct hb_member *member;

	if (topic != NULL)
		LIST_FOREACH(member, &topic->members, of_topic)
			member->subscriber->counts.dropped += count;
	/* The companion counts a link's loss once. */
	if (topic != NULL && topic->n > 1)
		missed(push, topic, count * (topic->n - 1));
}

struct hb_subscriber *
hb_subscriber_new(struct hb_push *push, void *arg)
{
	struct hb_subscriber *s = hb_xcalloc(1, sizeof *s);

	s->push = push;
	s->arg = arg;
	LIST_INIT(&s->members);
	TAILQ_INIT(&s->waits);
	pthread_mutex_lock(&push->lock);
	s->forks = push->forks;
	TAILQ_INSERT_TAIL(&push->subscribers, s, link);
	pthread_mutex_unlock(&push->lock);
	return s;
}

void *
hb_subscriber_arg(const struct hb_subscriber *s)
{
	return s->arg;
}

bool
hb_subscriber_is_mine(struct hb_subscriber *s)
{
	bool mine;

	pthread_mutex_lock(&s->push->lock);
	mine = s->forks == s->push->forks;
	pthread_mutex_unlock(&s->push->lock);
	return mine;
}

struct hb_subscriber_counts
hb_subscriber_counts(struct hb_subscriber *s)
{
	struct hb_subscriber_counts counts;

	pthread_mutex_lock(&s->push->lock);
	counts = s->counts;
	pthread_mutex_unlock(&s->push->lock);
	return counts;
}

struct hb_message *
hb_subscriber_pop(struct hb_subscriber *s)
{
	struct hb_message *message;

	if (s->counts.queued == 0)
		return NULL;
	message = s->ring[s->first];
	s->first = (s->first + 1) & (s->cap - 1);
	s->counts.queued--;
	s->bytes -= message->size;
	return message;
}

static bool
make_room(struct hb_subscriber *s)
{
	size_t cap = s->cap == 0 ? 4 : s->cap * 2;
	struct hb_message **ring;

	if (s->counts.queued < s->cap)
		return true;
	ring = malloc(cap * sizeof *ring);
	if (ring == NULL)
		return false;
	for (size_t i = 0; i < s->counts.queued; i++)
		ring[i] = s->ring[(s->first + i) & (s->cap - 1)];
	free(s->ring);
	s->ring = ring;
	s->cap = cap;
	s->first = 0;
	return true;
}

void
hb_subscriber_notify(struct hb_subscriber *s)
{
	struct hb_push_wait *wait;

	TAILQ_FOREACH(wait, &s->waits, of_subscriber)
		if (!wait->ready || s->closed) {
			hb_push_wake(s->push, wait);
			if (!s->closed)
				break;
		}
	if (s->watch == NULL || s->woken)
		return;
	if (TAILQ_EMPTY(&s->watch->woken) && s->push->reading != s->watch)
		hb_push_ring(s->watch->bell);
	s->woken = true;
	TAILQ_INSERT_TAIL(&s->watch->woken, s, of_watch);
}

/* There is no room for a message, or no more. */
static void
lose(struct hb_subscriber *s, const struct hb_message *message)
{
	struct hb_topic *topic = hb_topic_find(s->push, HB_OP_SUBSCRIBE, message->topic, message->topic_len);

	s->counts.dropped++;
	if (topic != NULL)
		missed(s->push, topic, 1);
}

void
hb_subscriber_deliver(struct hb_subscriber *s, struct hb_message *message)
{
	/* Of tasks the companion has no more under way than a link may have. */
	while (message->op == HB_OP_MESSAGE && s->counts.queued > 0 &&
	    (s->counts.queued >= s->push->queue || s->bytes + message->size > HB_PUSH_QUEUE_BYTES)) {
		struct hb_message *oldest = hb_subscriber_pop(s);

		lose(s, oldest);
		hb_message_unref(oldest);
	}
	if (!make_room(s)) {
		if (message->op == HB_OP_MESSAGE)
			lose(s, message);
		return;
	}
	atomic_fetch_add_explicit(&message->refs, 1, memory_order_relaxed);
	s->ring[(s->first + s->counts.queued++) & (s->cap - 1)] = message;
	s->bytes += message->size;
	hb_subscriber_notify(s);
}

void
hb_subscriber_leave(struct hb_subscriber *s)
{
	struct hb_member *member;

	while ((member = LIST_FIRST(&s->members)) != NULL) {
		struct hb_topic *topic = member->topic;

		remove_member(member);
		hb_topic_changed(s->push, topic);
	}
}

void
hb_subscriber_close(struct hb_subscriber *s)
{
	pthread_mutex_lock(&s->push->lock);
	if (!s->closed) {
		s->closed = true;
		hb_subscriber_leave(s);
		hb_subscriber_notify(s);
	}
	pthread_mutex_unlock(&s->push->lock);
}

void
hb_subscriber_free(struct hb_subscriber *s)
{
	struct hb_push *push;

	if (s == NULL)
		return;
	push = s->push;
	hb_push_disarm(s);
	pthread_mutex_lock(&push->lock);
	hb_subscriber_leave(s);
	TAILQ_REMOVE(&push->subscribers, s, link);
	if (push->listener == s)
		push->listener = NULL;
	while (s->counts.queued > 0)
		hb_message_unref(hb_subscriber_pop(s));
	pthread_mutex_unlock(&push->lock);
	free(s->ring);
	free(s);
}

struct hb_message *
hb_push_take(struct hb_subscriber *s)
{
	struct hb_message *message;

	pthread_mutex_lock(&s->push->lock);
	message = hb_subscriber_pop(s);
	pthread_mutex_unlock(&s->push->lock);
	return message;
}

static struct hb_member *
find_member(const struct hb_subscriber *s, const struct hb_topic *topic)
{
	struct hb_member *member;

	LIST_FOREACH(member, &s->members, of_subscriber)
		if (member->topic == topic)
			return member;
	return NULL;
}

/* The member whose name it is, unless calls that stay have subscribed it, too; all of them leave. */
static bool
leave(struct hb_subscriber *s, const char *name, size_t len, bool all)
{
	struct hb_topic *topic = hb_topic_find(s->push, HB_OP_SUBSCRIBE, name, len);
	struct hb_member *member = topic != NULL ? find_member(s, topic) : NULL;

	if (member == NULL || (--member->asked > 0 && !all))
		return false;
	remove_member(member);
	hb_topic_changed(s->push, topic);
	return true;
}

static struct hb_member *
add_member(struct hb_subscriber *s, struct hb_topic *topic)
{
	struct hb_member *member = hb_xcalloc(1, sizeof *member);

	member->number = ++s->push->last_member;
	member->subscriber = s;
	member->topic = topic;
	LIST_INSERT_HEAD(&topic->members, member, of_topic);
	LIST_INSERT_HEAD(&s->members, member, of_subscriber);
	s->counts.topics++;
	topic->n++;
	return member;
}

/* The call that has waited for the member of this number, which may be gone, ends so. */
static void
joined(struct hb_subscriber *s, struct hb_topic *topic, uint64_t number, int result)
{
	struct hb_member *member = find_member(s, topic);

	if (member == NULL || member->number != number)
		return;
	member->joining--;
	member->asked -= result != 0;
	member->confirmed |= result == 0;
	if (!member->confirmed && member->joining == 0) {
		remove_member(member);
		hb_topic_changed(s->push, topic);
	}
}

static int
join(struct hb_subscriber *s, const char *name, size_t len, int64_t deadline, struct hb_error *err)
{
	struct hb_push *push = s->push;
	unsigned forks = push->forks;
	struct hb_topic *topic;
	struct hb_member *member;
	uint64_t number;
	int result;

	if (s->forks != push->forks)
		return hb_error_set(err, HB_ERROR_CONNECT, "the subscriber belongs to the parent of this process");
	if (s->closed)
		return hb_error_set(err, HB_ERROR_LIMIT, "the subscriber is closed");
	topic = hb_topic_get(push, HB_OP_SUBSCRIBE, name, len);
	member = find_member(s, topic);
	if (member == NULL)
		member = add_member(s, topic);
	member->asked++;
	if (member->confirmed)
		return 0;
	member->joining++;
	number = member->number;
	topic->holders++;
	result = hb_push_settle(push, topic, deadline, err);
	if (forks != push->forks)
		return -1;
	joined(s, topic, number, result);
	topic->holders--;
	hb_topic_release(push, topic);
	return result;
}

int
hb_push_subscribe(struct hb_subscriber *s, const char *topic, size_t len, int64_t deadline, struct hb_error *err)
{
	int result;

	if (len < 1 || len > HB_PUSH_TOPIC_MAX)
		return hb_error_set(err, HB_ERROR_VALUE, "a topic has 1 to %d bytes in UTF-8, not %zu", HB_PUSH_TOPIC_MAX,
		    len);
	pthread_mutex_lock(&s->push->lock);
	result = join(s, topic, len, deadline, err);
	pthread_mutex_unlock(&s->push->lock);
	return result;
}

static bool
locked_leave(struct hb_subscriber *s, const char *topic, size_t len, bool all)
{
	bool left;

	pthread_mutex_lock(&s->push->lock);
	left = leave(s, topic, len, all);
	pthread_mutex_unlock(&s->push->lock);
	return left;
}

bool
hb_push_unsubscribe(struct hb_subscriber *s, const char *topic, size_t len)
{
	return locked_leave(s, topic, len, true);
}

bool
hb_push_take_back(struct hb_subscriber *s, const char *topic, size_t len)
{
	return locked_leave(s, topic, len, false);
}

int
hb_push_provide(struct hb_push *push, const char *name, size_t len, bool there, int64_t deadline,
    struct hb_error *err)
{
	struct hb_topic *topic;
	unsigned forks;
	uint32_t before;
	int result;

	if (len < 1 || len > HB_PUSH_NAME_MAX)
		return hb_error_set(err, HB_ERROR_VALUE, "a name has 1 to %d bytes in UTF-8, not %zu", HB_PUSH_NAME_MAX, len);
	pthread_mutex_lock(&push->lock);
	forks = push->forks;
	topic = hb_topic_get(push, HB_OP_PROVIDE, name, len);
	before = topic->n;
	topic->n = there;
	topic->holders++;
	result = hb_push_settle(push, topic, deadline, err);
	if (forks == push->forks) {
		if (result == -1 && there && before == 0) {
			topic->n = 0;
			hb_topic_changed(push, topic);
		}
		topic->holders--;
		hb_topic_release(push, topic);
	}
	pthread_mutex_unlock(&push->lock);
	return result;
}

void
hb_push_listen(struct hb_push *push, struct hb_subscriber *s)
{
	pthread_mutex_lock(&push->lock);
	push->listener = s;
	pthread_mutex_unlock(&push->lock);
}
