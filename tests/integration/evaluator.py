"""An application that runs the Python it is sent: for tests of what a worker sees.

    with Daemon("evaluator:application", files=evaluator.FILES) as d:
        assert evaluator.run(d, "state_incr('n')") == 1
"""

FILES = {
    "evaluator.py": '''
import json
import hornbeam_erlang

def application(environ, start_response):
    code = environ["wsgi.input"].read().decode()
    try:
        names = vars(hornbeam_erlang) | {"environ": environ}
        status, result = "200 OK", eval(code, names)
    except Exception as e:
        kinds = [t.__name__ for t in type(e).__mro__]
        status, result = "503 Service Unavailable", [kinds, str(e).encode(errors="replace").decode()]
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(result).encode()]
'''
}


def ask(daemon, code, **more):
    """The answer to an expression: 200 and its value, or 503, the names of the exception's classes and its text."""
    answer = daemon.request("POST", "/", body=code.encode(), timeout=30, **more)
    return answer.status, answer.json()


def run(daemon, code, **more):
    """The value of an expression."""
    status, value = ask(daemon, code, **more)
    assert status == 200, value
    return value
