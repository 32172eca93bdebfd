"""A text hello in Flask."""

import flask

app = flask.Flask(__name__)


@app.get("/")
def hello():
    return "hello world\n"
