"""A Django cache in the shared state: every worker sees the same one.

    CACHES = {"default": {"BACKEND": "guestbook.cache.StateCache", "LOCATION": "mysite:cache"}}

LOCATION is the prefix of its keys.  Values are what the shared state holds:
None, booleans, numbers, text, bytes, dates, lists, tuples, sets and dictionaries.
"""

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from hornbeam_erlang import (
    state_add,
    state_delete,
    state_expire,
    state_get,
    state_get_multi,
    state_incr,
    state_keys,
    state_set,
)

ABSENT = object()


class StateCache(BaseCache):
    """Django's cache interface on hornbeam_erlang."""

    def __init__(self, location, params):
        super().__init__(params)
        self.location = location

    def make_key(self, key, version=None):
        return self.location + super().make_key(key, version)

    def seconds(self, timeout):
        """None: for good; at most 0: gone at once."""
        return self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout

    def get(self, key, default=None, version=None):
        return state_get(self.make_key(key, version), default)

    def get_many(self, keys, version=None):
        names = {self.make_key(key, version): key for key in keys}
        found = state_get_multi(list(names))
        return {names[name]: value for name, value in found.items() if value is not None}

    def has_key(self, key, version=None):
        return self.get(key, ABSENT, version) is not ABSENT

    def set(self, key, value, timeout=DEFAULT_TIMEOUT, version=None):
        seconds = self.seconds(timeout)
        if seconds is not None and seconds <= 0:
            self.delete(key, version)
        else:
            state_set(self.make_key(key, version), value, ttl=seconds)

    def add(self, key, value, timeout=DEFAULT_TIMEOUT, version=None):
        seconds = self.seconds(timeout)
        if seconds is not None and seconds <= 0:
            return not self.has_key(key, version)
        return state_add(self.make_key(key, version), value, ttl=seconds)

    def touch(self, key, timeout=DEFAULT_TIMEOUT, version=None):
        seconds = self.seconds(timeout)
        if seconds is not None and seconds <= 0:
            return self.delete(key, version)
        return state_expire(self.make_key(key, version), seconds)

    def delete(self, key, version=None):
        return state_delete(self.make_key(key, version))

    def incr(self, key, delta=1, version=None):
        if not self.has_key(key, version):
            raise ValueError(f"Key '{key}' not found")
        return state_incr(self.make_key(key, version), delta)

    def clear(self):
        for name in state_keys(self.location):
            state_delete(name)
