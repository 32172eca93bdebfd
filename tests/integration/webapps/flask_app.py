"""A Flask application of many paths; test_flask.py asks for each."""

import hashlib
import io
import os
import pathlib
import threading

from flask import (
    Flask,
    Response,
    abort,
    g,
    has_request_context,
    jsonify,
    make_response,
    redirect,
    request,
    send_file,
    session,
    stream_with_context,
    url_for,
)

app = Flask(__name__)
app.secret_key = "only for tests"

DIR = pathlib.Path(os.environ["HB_TEST_DIR"])
done = []


@app.before_request
def begin():
    assert not hasattr(g, "seen"), "flask.g of another request"
    g.seen = request.path


@app.teardown_request
def end(error):
    done.append({"path": request.path, "seen": g.seen, "error": repr(error) if error else None})


@app.get("/done")
def show_done():
    """What the teardown functions of the requests before saw."""
    return jsonify(done)


@app.get("/")
def index():
    return "index"


@app.get("/hello/<name>")
def hello(name):
    return jsonify(name=name, args=request.args.to_dict(flat=False), url=request.url)


@app.get("/number/<int:number>")
def number(number):
    return jsonify(number=number, next=url_for("number", number=number + 1, _external=True))


@app.route("/where", methods=["GET", "POST"])
def where():
    return jsonify(
        scheme=request.scheme, host=request.host, addr=request.remote_addr, script=request.script_root,
        path=request.path, url=request.url, method=request.method, root=request.root_url, thread=threading.get_ident())


@app.get("/old")
def old():
    return redirect(url_for("hello", name="new"))


@app.post("/login")
def login():
    session["name"] = request.form["name"]
    session["visits"] = 0
    return redirect(url_for("account"), 303)


@app.get("/account")
def account():
    if "name" not in session:
        abort(401)
    session["visits"] += 1
    return jsonify(name=session["name"], visits=session["visits"])


@app.get("/cookies")
def cookies():
    answer = make_response(jsonify(request.cookies))
    answer.set_cookie("one", "1", max_age=60, httponly=True, samesite="Lax")
    answer.set_cookie("two", 'a "quoted"; value')
    answer.delete_cookie("three")
    return answer


@app.get("/stream")
def stream():
    """Lines that are made while they are sent, with the request at hand."""
    def lines():
        for n in range(int(request.args["lines"])):
            assert has_request_context()
            yield f"{n} {request.args['word']} {g.seen}\n"
    return Response(stream_with_context(lines()), mimetype="text/plain")


@app.get("/endless")
def endless():
    def blocks():
        try:
            while True:
                yield b"x" * 65536
        finally:
            done.append({"closed": request.args["name"]})
    return Response(stream_with_context(blocks()), mimetype="application/octet-stream")


@app.get("/events/<int:count>")
def events(count):
    return Response((f"id: {n}\ndata: event {n}\n\n" for n in range(count)), mimetype="text/event-stream")


@app.get("/file")
def file():
    path = DIR / "block"
    if not path.exists():
        path.write_bytes(bytes(range(256)) * 1200)
    return send_file(path, mimetype="application/octet-stream", as_attachment=True, download_name="a block.bin",
                     max_age=60)


@app.get("/memory")
def memory():
    return send_file(io.BytesIO(b"from memory" * 1000), mimetype="text/plain")


@app.post("/form")
def form():
    """A form with fields and files."""
    return jsonify(
        fields=request.form.to_dict(flat=False),
        files=[{"field": field, "name": f.filename, "type": f.content_type, **digest(f)}
               for field, f in request.files.items(multi=True)])


@app.post("/upload/raw")
def raw():
    """A body of any length, known or not, as it comes."""
    return jsonify(length=request.content_length, **digest(request.stream))


def digest(file):
    size, total = 0, hashlib.sha256()
    while part := file.read(65536):
        size += len(part)
        total.update(part)
    return {"size": size, "sha256": total.hexdigest()}


@app.post("/json")
def echo():
    return jsonify(request.get_json())


@app.get("/fail")
def fail():
    raise RuntimeError("as asked")


@app.get("/teapot")
def teapot():
    abort(418)


@app.errorhandler(404)
def missing(error):
    return jsonify(error=error.name, path=request.path), 404


@app.get("/half")
def half():
    """Fails when the first part is out."""
    def parts():
        yield b"begun"
        raise RuntimeError("half way")
    return Response(stream_with_context(parts()))
