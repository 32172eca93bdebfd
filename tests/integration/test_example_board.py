"""The FastAPI example, with two workers."""

import asyncio
import concurrent.futures
import json

import harness
import pytest
import sites
import websockets

BOARD = harness.SOURCE / "examples" / "board"


@pytest.fixture(scope="module")
def daemon():
    with harness.Daemon(app="board:app", config={"workers": 2, "python": {"path": [str(BOARD)]}}) as d:
        yield d


@pytest.fixture
def client(daemon):
    for key in daemon.hornbeam("state", "keys", "board:posts:").stdout.split():
        daemon.hornbeam("-q", "state", "delete", key)
    with sites.client(f"http://127.0.0.1:{daemon.port}") as c:
        yield c


def pin(client, text):
    answer = client.post("/notes", json={"author": "Ada", "text": text})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_notes_are_written_read_and_removed(client, daemon):
    note = pin(client, "Tea at four")
    assert (note["author"], note["text"], note["votes"]) == ("Ada", "Tea at four", 0)
    assert client.get("/notes").json()[0] == note
    assert json.loads(daemon.hornbeam("state", "get", "board:notes").stdout)[0]["text"] == "Tea at four"
    assert client.delete(f"/notes/{note['id']}").status_code == 204
    assert note not in client.get("/notes").json()
    assert client.delete(f"/notes/{note['id']}").status_code == 404
    assert client.post("/notes", json={"author": "", "text": "x"}).status_code == 422


def test_no_vote_is_lost(client, daemon):
    note = pin(client, "vote")

    def vote(_):
        with sites.client(f"http://127.0.0.1:{daemon.port}") as c:
            return c.post(f"/notes/{note['id']}/votes").json()["votes"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(vote, range(40))) == list(range(1, 41))
    assert client.get("/notes").json()[0]["votes"] == 40
    assert client.post("/notes/999999/votes").status_code == 404


def test_no_note_is_lost_when_many_write_at_once(client, daemon):
    def write(n):
        with sites.client(f"http://127.0.0.1:{daemon.port}") as c:
            return c.post("/notes", json={"author": f"a{n}", "text": "at once"}).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write, range(20))) == {201}
    assert {f"a{n}" for n in range(20)} <= {note["author"] for note in client.get("/notes").json()}
    refused = client.post("/notes", json={"author": "a", "text": "one more"})
    assert refused.status_code == 429 and 1 <= int(refused.headers["retry-after"]) <= 61


def test_live_pages_hear_of_changes_whoever_made_them(client, daemon):
    async def watch():
        pages = [await websockets.connect(f"ws://127.0.0.1:{daemon.port}/live", open_timeout=30 * harness.SLOW) for _ in range(6)]

        async def until(condition):
            async def one(page):
                while not condition(json.loads(await page.recv())):
                    pass
            await asyncio.wait_for(asyncio.gather(*map(one, pages)), 30 * harness.SLOW)

        await until(lambda notes: True)
        note = await asyncio.to_thread(pin, client, "live")
        await until(lambda notes: notes and notes[0]["text"] == "live")
        await asyncio.to_thread(client.post, f"/notes/{note['id']}/votes")
        await until(lambda notes: notes[0]["votes"] == 1)
        for page in pages:
            await page.close()
            assert page.close_code == 1000

    asyncio.run(watch())
    harness.eventually(lambda: "board:changed" not in daemon.hornbeam("topics").stdout)
    assert "never retrieved" not in daemon.log()


def test_figures_are_those_of_all_workers(client):
    pin(client, "figures")

    def fresh():
        return client.get("/figures").json()["notes"] == len(client.get("/notes").json())

    harness.eventually(fresh)
    assert client.get("/figures").json()["starts"] == 2


def test_the_page_and_the_documentation_are_there(client):
    page = client.get("/").text
    assert "<title>Board</title>" in page and 'new URL("live"' in page
    assert client.get("/openapi.json").json()["info"]["title"] == "Board"
