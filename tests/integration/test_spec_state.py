"""What the guide to shared state shows, as written and in its order.

Every request is a snippet; with two workers the state is all that one can
know of another.
"""

import ast
import threading

import pytest
from harness import Daemon, eventually

IMPORTS = """
from hornbeam_erlang import (
    state_get, state_set, state_delete,
    state_incr, state_decr,
    state_get_multi, state_keys
)
"""

SETUP = """
import os

def minute():
    return 29000000

def fetch_from_database(product_id):
    state_incr('test:database')
    return {'id': product_id, 'price': 9.5, 'tags': ('new', b'raw')}

def compute_default():
    state_incr('test:computed')
    return 'default'
"""

BASIC = """
# Get and set values
state_set('user:123', {'name': 'Alice', 'email': 'alice@example.com'})
user = state_get('user:123')  # Returns dict or None
"""

DELETE = """
# Delete
state_delete('user:123')
"""

COUNTERS = """
# Increment (returns new value)
views = state_incr('page_views')           # +1
views = state_incr('page_views', 10)       # +10

# Decrement
remaining = state_decr('quota', 1)
"""

RATE_LIMIT = """
# Use for rate limiting
def check_rate_limit(user_id, limit=100):
    key = f'rate:{user_id}:{minute()}'
    count = state_incr(key)
    if count == 1:
        state_set(f'{key}:ttl', 60)  # Set TTL on first access
    return count <= limit
"""

BATCH = """
# Get multiple keys at once
users = state_get_multi(['user:1', 'user:2', 'user:3'])
# Returns: {'user:1': {...}, 'user:2': {...}, 'user:3': None}

# Find keys by prefix
user_keys = state_keys('user:')
# Returns: ['user:1', 'user:2', 'user:123', ...]
"""

CACHING = """
def get_product(product_id):
    cached = state_get(f'product:{product_id}')
    if cached:
        return cached

    product = fetch_from_database(product_id)
    state_set(f'product:{product_id}', product)
    return product
"""

SESSIONS = """
def get_session(session_id):
    return state_get(f'session:{session_id}')

def set_session(session_id, data):
    state_set(f'session:{session_id}', data)
"""

METRICS = """
def track_request(path, status, latency):
    state_incr(f'metrics:requests:{path}')
    state_incr(f'metrics:status:{status}')
    # Update latency histogram
    bucket = latency // 100 * 100  # Round to 100ms buckets
    state_incr(f'metrics:latency:{bucket}')
"""

HOT_DATA = """
# Good: Frequently accessed, changes often
state_set('rate_limit:user:123', count)
state_set('session:abc123', session_data)

# Bad: Large, rarely accessed (use database)
state_set('user:history', huge_list)
"""

ATOMIC = """
# Good: Atomic increment
count = state_incr('counter')
"""

RACE = """
# Bad: Race condition
count = state_get('counter') or 0
state_set('counter', count + 1)
"""

NAMING = """
# Use structured keys
state_set('user:123:profile', profile)
state_set('cache:product:456', product)
state_set('metric:requests:total', count)
"""

MISSING = """
# state_get returns None for missing keys
value = state_get('maybe_exists')
if value is None:
    value = compute_default()
    state_set('maybe_exists', value)
"""

# The posted program runs, and what it leaves in `answer` is answered, with the worker's id.
APP = IMPORTS + SETUP + """
def application(environ, start_response):
    names = {k: v for k, v in globals().items() if not k.startswith('__')}
    exec(environ['wsgi.input'].read().decode(), names)
    start_response('200 OK', [('Content-Type', 'text/plain; charset=utf-8'), ('Worker', str(os.getpid()))])
    return [repr(names.get('answer')).encode()]
"""


@pytest.fixture(scope="module")
def daemon():
    with Daemon("spec:application", files={"spec.py": APP}, config={"workers": 2}) as d:
        yield d


@pytest.fixture(autouse=True)
def empty(daemon):
    keys = daemon.hornbeam("state", "keys", "-0").stdout.split("\0")[:-1]
    if keys:
        daemon.hornbeam("state", "delete", *keys)


@pytest.fixture
def run(daemon):
    """Runs a snippet in a worker, whichever comes, and gives the value of an expression after it."""
    def run(snippet, expression="None"):
        response = daemon.request("POST", "/", body=f"{snippet}\nanswer = {expression}\n")
        assert response.status == 200, daemon.log()
        run.workers.add(response.headers["worker"])
        return ast.literal_eval(response.text)

    run.workers = set()
    return run


def test_basic_operations(run):
    assert run(BASIC, "user") == {"name": "Alice", "email": "alice@example.com"}
    assert run("", "state_get('user:123')") == {"name": "Alice", "email": "alice@example.com"}
    run(DELETE)
    assert run("", "state_get('user:123')") is None


def test_atomic_counters(run):
    run("state_set('quota', 5)")
    assert run(COUNTERS, "(views, remaining)") == (11, 4)
    assert run(COUNTERS, "(views, remaining)") == (22, 3)


def test_decrement_of_a_missing_key_counts_from_0(run):
    assert run(COUNTERS, "(views, remaining)") == (11, -1)


def test_rate_limiting(run):
    allowed = [run(RATE_LIMIT, "check_rate_limit('alice', limit=3)") for _ in range(5)]
    assert allowed == [True, True, True, False, False]
    assert run(RATE_LIMIT, "check_rate_limit('bob')") is True
    assert run("", "state_keys('rate:')") == [
        "rate:alice:29000000", "rate:alice:29000000:ttl", "rate:bob:29000000", "rate:bob:29000000:ttl"]
    # {key}:ttl is an ordinary key
    assert run("", "state_get('rate:alice:29000000:ttl')") == 60
    assert run("from hornbeam_erlang import state_ttl", "str(state_ttl('rate:alice:29000000'))") == "inf"


def test_rate_limiting_with_the_ttl_of_the_counter(run):
    assert run("count = state_incr('rate:alice', ttl=60)", "count") == 1
    assert 59 < run("from hornbeam_erlang import state_ttl", "state_ttl('rate:alice')") <= 60


def test_batch_operations(run):
    run("for n in (1, 2, 123): state_set(f'user:{n}', {'n': n})")
    assert run(BATCH, "users") == {"user:1": {"n": 1}, "user:2": {"n": 2}, "user:3": None}
    assert run(BATCH, "user_keys") == ["user:1", "user:123", "user:2"]


def test_caching(run):
    expected = {"id": 7, "price": 9.5, "tags": ("new", b"raw")}
    assert [run(CACHING, "get_product(7)") for _ in range(4)] == [expected] * 4
    assert run("", "state_get('test:database')") == 1


def test_session_storage(run):
    assert run(SESSIONS, "get_session('s1')") is None
    run(SESSIONS + "\nset_session('s1', {'user': 5, 'cart': [1, (2, 'x')]})")
    assert run(SESSIONS, "get_session('s1')") == {"user": 5, "cart": [1, (2, "x")]}


def test_real_time_metrics(run):
    for path, status, latency in (("/", 200, 5), ("/", 200, 99), ("/a b", 404, 100), ("/", 500, 12345)):
        run(METRICS + f"\ntrack_request({path!r}, {status}, {latency})")
    assert run("", "{k: state_get(k) for k in state_keys('metrics:')}") == {
        "metrics:latency:0": 2, "metrics:latency:100": 1, "metrics:latency:12300": 1,
        "metrics:requests:/": 3, "metrics:requests:/a b": 1,
        "metrics:status:200": 2, "metrics:status:404": 1, "metrics:status:500": 1}


def test_hot_data(run):
    run("count, session_data, huge_list = 3, {'user': 1}, list(range(100000))\n" + HOT_DATA)
    keys = ["rate_limit:user:123", "session:abc123", "user:history"]
    assert run("", f"list(state_get_multi({keys}).values())") == [3, {"user": 1}, list(range(100000))]


def test_atomic_operations(run):
    """Eight clients at once: nobody's increment is lost, and every count is seen once."""
    seen = []
    threads = [threading.Thread(target=lambda: seen.extend(run(ATOMIC, "count") for _ in range(25))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 201))
    assert run("", "state_get('counter')") == 200
    eventually(lambda: run(ATOMIC, "count") and len(run.workers) == 2, what="one worker served everything")


def test_read_and_write_apart(run):
    run(RACE)
    run(RACE)
    assert run("", "state_get('counter')") == 2


def test_key_naming_convention(run):
    run("profile, product, count = {'name': 'Alice'}, ('p', 456), 12\n" + NAMING)
    assert run("", "state_keys('user:123:')") == ["user:123:profile"]
    assert run("", "state_get('cache:product:456'), state_get('metric:requests:total')") == (("p", 456), 12)


def test_missing_keys(run):
    assert [run(MISSING, "value") for _ in range(3)] == ["default"] * 3
    assert run("", "state_get('test:computed')") == 1
