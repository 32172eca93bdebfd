"""A Django project with its admin site, by WSGI and by ASGI, directly and behind nginx."""

import hashlib
import json
import os
import re
import subprocess

import pytest
import sites
from harness import PYTHON, eventually

SETUP = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
User.objects.create_superuser("admin", "admin@example.org", "open sesame")
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A directory with a database that has its tables and an administrator."""
    where = tmp_path_factory.mktemp("django")
    where.chmod(0o755)
    env = {**os.environ, "HB_TEST_DIR": str(where), "PYTHONPATH": str(sites.APPS)}
    subprocess.run([PYTHON, "-c", SETUP], env=env, check=True, timeout=120)
    return where


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def site(request, database):
    env = {"HB_TEST_DIR": str(database)}
    with sites.Site(f"shop.{request.param}:application", config={"python": {"env": env}}) as s:
        s.interface = request.param
        yield s


def token(page):
    """The CSRF token of a page's form."""
    return re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]


@pytest.fixture
def admin(client):
    """A client that has logged in to the admin site."""
    page = client.get("/admin/", follow_redirects=True)
    assert page.url.path == "/admin/login/" and "Log in" in page.text
    form = {"csrfmiddlewaretoken": token(page), "username": "admin", "password": "open sesame", "next": "/admin/"}
    answer = client.post("/admin/login/", data=form)
    assert answer.status_code == 302 and answer.headers["location"] == "/admin/"
    return client


def test_the_admin_site_edits_a_table(admin, request):
    name = f"tea {request.node.callspec.id}"
    page = admin.get("/admin/")
    assert "Site administration" in page.text and "Articles" in page.text
    form = {"csrfmiddlewaretoken": token(admin.get("/admin/shop/article/add/")), "name": name, "price": "12.50"}
    added = admin.post("/admin/shop/article/add/", data=form, files={"picture": ("a.png", b"\x89PNG" * 100)})
    assert added.status_code == 302
    found = admin.get("/admin/shop/article/", params={"q": name})
    assert "was added successfully" in found.text and "12.50" in found.text and f">{name}</a>" in found.text
    number = re.search(r"/admin/shop/article/(\d+)/change/", found.text)[1]
    again = admin.post("/admin/shop/article/add/", data={**form, "price": "x"})
    assert "Enter a number." in again.text and "already exists" in again.text
    gone = admin.post(f"/admin/shop/article/{number}/delete/", data={"post": "yes", **form})
    assert gone.status_code == 302
    assert f">{name}</a>" not in admin.get("/admin/shop/article/", params={"q": name}).text


def test_the_admin_site_needs_a_login_and_a_token(client, admin):
    refused = client.post("/admin/shop/article/add/", data={"name": "x", "price": "1"})
    assert refused.status_code == 403 and "CSRF" in refused.text
    out = client.get("/admin/logout/")
    assert "Logged out" in out.text
    assert client.get("/admin/shop/article/").status_code == 302
    page = client.get("/admin/login/")
    wrong = client.post("/admin/login/", data={
        "csrfmiddlewaretoken": token(page), "username": "admin", "password": "wrong"})
    assert wrong.status_code == 200 and "Please enter the correct username" in wrong.text


def test_static_files_are_those_of_the_applications(client):
    page = client.get("/form").text
    link = re.search(r'href="([^"]+\.css)"', page)[1]
    assert client.get(link).text == "body { color: teal }\n"
    style = client.get("/static/admin/css/base.css")
    assert style.headers["content-type"] == "text/css" and int(style.headers["content-length"]) == len(style.content)
    known = client.get("/static/admin/css/base.css", headers={"If-Modified-Since": style.headers["last-modified"]})
    assert known.status_code == 304 and known.content == b""
    assert client.get("/static/nothing.css").status_code == 404


def test_sessions_last(client, url):
    assert client.get("/session", params={"name": "Zoë"}).json() == {"visits": 1, "name": "Zoë"}
    assert client.get("/session").json() == {"visits": 2, "name": "Zoë"}
    with sites.client(url) as other:
        assert other.get("/session").json() == {"visits": 1}


def test_links_lead_to_where_the_client_asked(client, url, site):
    where = client.get("/where/J%C3%BCrgen%20%26?a=b%20c&d=%C3%A4").json()
    assert where["url"] == f"{url}/where/J%C3%BCrgen%20&?a=b%20c&d=%C3%A4"
    assert where["next"] == f"{url}/number/7"
    assert where["path"] == "/where/Jürgen &" and where["query"] == {"a": "b c", "d": "ä"}
    assert where["scheme"] == "http" and where["addr"] == "127.0.0.1"
    assert where["kind"] == {"wsgi": "WSGIRequest", "asgi": "ASGIRequest"}[site.interface]
    shown = json.loads(sites.curl("-H", "Host: www.example.org", f"{url}/where"))
    assert shown["next"] == "http://www.example.org/number/7"
    assert client.get("/where", headers={"Host": "bad.example"}).status_code == 400


def test_a_forwarded_scheme_is_the_scheme(site):
    with sites.client(site.url()) as c:
        where = c.get("/where", headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}).json()
    assert where["scheme"] == "https" and where["addr"] == "192.0.2.7"


@pytest.mark.parametrize("size", [0, 100, 2_500_000, 6_000_000])
def test_uploads_arrive(client, size):
    body = (bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1))[:size]
    form = {"csrfmiddlewaretoken": token(client.get("/form")), "title": "Grüße"}
    answer = client.post("/form", data=form, files={"doc": ("größe.bin", body, "application/x-own")}).json()
    assert answer == {
        "title": "Grüße", "name": "größe.bin", "type": "application/x-own", "size": size,
        "sha256": hashlib.sha256(body).hexdigest(), "spooled": size > 2_621_440}


def test_curl_sends_a_body_that_it_does_not_know(url):
    shown = json.loads(sites.curl("-T", "-", "-X", "POST", f"{url}/upload/raw", input="line\n" * 200_000))
    assert shown["size"] == 1_000_000 and shown["sha256"] == hashlib.sha256(b"line\n" * 200_000).hexdigest()


def test_streams_arrive(client):
    lines = client.get("/stream?lines=500").text.splitlines()
    assert [line.split()[0] for line in lines] == [str(n) for n in range(500)]


def test_a_client_that_leaves_a_stream_ends_it(client, site, request):
    name = request.node.name
    with client.stream("GET", "/endless", params={"name": name}, headers={"Accept-Encoding": "identity"}) as answer:
        assert next(answer.iter_raw(1000)) == b"x" * 1000
    eventually(lambda: name in client.get("/closed").json())


def test_files_are_sent(client):
    answer = client.get("/file", headers={"Accept-Encoding": "identity"})
    assert answer.content == bytes(range(256)) * 1200
    assert answer.headers["content-disposition"] == 'attachment; filename="a block.bin"'
    assert answer.headers["content-length"] == str(256 * 1200)


def test_views_that_await_work(client):
    assert client.get("/async").json()["articles"] >= 0


def test_gzip_is_sent_to_those_who_read_it(client):
    packed = client.get("/big")
    assert packed.headers["content-encoding"] == "gzip" and packed.text == "compressible " * 10_000
    head = client.head("/big")
    assert head.content == b"" and head.status_code == 200


def test_errors_have_their_pages(client, site):
    missing = client.get("/missing")
    assert missing.status_code == 404 and "Not Found" in missing.text
    failed = client.get("/fail")
    assert failed.status_code == 500 and "Server Error (500)" in failed.text
    eventually(lambda: "RuntimeError: as asked" in site.daemon.log())


def test_a_mount_is_the_scripts_name(site, database):
    app = f"shop.{site.interface}:application"
    env = {"HB_TEST_DIR": str(database)}
    with sites.Site(apps=[{"mount": "/shop", "app": app}], config={"python": {"env": env}}) as s:
        for way in sites.WAYS:
            url = s.url(way)
            with sites.client(url) as c:
                where = c.get("/shop/where").json()
                assert where["path"] == "/shop/where" and where["info"] == "/where" and where["script"] == "/shop"
                assert where["url"] == f"{url}/shop/where" and where["next"] == f"{url}/shop/number/7"
                page = c.get("/shop/admin/", follow_redirects=True)
                assert page.url.path == "/shop/admin/login/"
                assert c.get("/where").status_code == 404
