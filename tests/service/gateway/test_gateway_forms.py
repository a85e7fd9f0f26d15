"""Every form of an HTTP rule, played by a contract that has them all."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from google.api import httpbody_pb2
from jsonschema import Draft202012Validator

from chassis.errors import NotFound, Unavailable
from services.gateway import docs, openapi
from tests.fixtures.forms import form, forms
from tests.service.gateway.stage import Stage, stage_over, standing_in


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """The gateway with the contract of forms.proto."""
    async with standing_in(spoken=forms()) as services, stage_over(services, forms()) as built:
        yield built


def piece(data: bytes, content_type: str = "text/csv") -> httpbody_pb2.HttpBody:
    """A piece of a file."""
    return httpbody_pb2.HttpBody(content_type=content_type, data=data)


@pytest.mark.parametrize(
    ("method", "path", "body", "name"),
    [
        ("GET", "/forms/shelves/a/books/b%20c", None, "shelves/a/books/b c"),
        ("GET", "/forms/books/a%2Fb", None, "a/b"),
        ("POST", "/forms/books:get", {"name": "x"}, "x"),
        ("REPORT", "/forms/archive/2026/03:get", None, "archive/2026/03"),
    ],
)
async def test_bindings(stage: Stage, method: str, path: str, body: object, name: str) -> None:
    stage.services.play("GetBook", form("Book", title="t", pages=2**40, kind=1))
    answer = await stage.call(method, path, body)
    assert (answer.status, stage.services.last.name) == (200, name)
    assert answer.json == {
        "title": "t", "pages": "1099511627776", "kind": "NOVEL", "rating": None, "notes": None, "mask": None,
    }  # fmt: skip


async def test_a_body_that_is_a_list_and_an_answer_that_is_one_field(stage: Stage) -> None:
    stage.services.play("TagBook", form("TagBookResponse", tags=["new"]))
    answer = await stage.call("PUT", "/forms/shelves/s/books/b:tag?loud=true", ["x", "y"])
    assert (answer.status, answer.json) == (200, ["new"])
    asked = stage.services.last
    assert (asked.shelf, asked.book.title, asked.tags, asked.loud) == ("s", "b", ["x", "y"], True)
    wrong = await stage.call("PUT", "/forms/shelves/s/books/b:tag", {"tags": ["x"]})
    assert wrong.wrong == {"tags": "is an object; want a list"}


async def test_what_a_query_says(stage: Stage) -> None:
    query = (
        "kinds=NOVEL&kinds=1&like.title=moby&like.rating=4.5&before=2026-03-01T10:00:00%2B01:00&within=90s"
        "&readMask=title,likeRating&least=3&lent=false"
    )
    answer = await stage.call("GET", f"/forms:search?{query}")
    asked = stage.services.last
    assert answer.status == 200, answer.text
    assert (list(asked.kinds), asked.like.title, asked.like.rating.value) == ([1, 1], "moby", 4.5)
    assert (asked.before.seconds, asked.within.seconds) == (1_772_355_600, 90)
    assert (asked.least.value, asked.HasField("lent"), asked.lent.value) == (3, True, False)
    assert list(asked.read_mask.paths) == ["title", "like_rating"]


async def test_what_a_query_cannot_say(stage: Stage) -> None:
    query = "labels=x&labels.team=db&others=1&others.title=x&like=x&kinds=POEM&least=many&lent=1&within=1h&like.no=1"
    answer = await stage.call("GET", f"/forms:search?{query}")
    assert answer.status == 400
    assert answer.wrong == {
        "labels": "is a map, which a query cannot say",
        "labels.team": "is a map, which a query cannot say",
        "others": "is a list of objects, which a query cannot say",
        "others.title": "is a list of objects, which a query cannot say",
        "like": "is an object; want its fields, such as 'like.title'",
        "like.no": "is not a parameter of Search; did you mean 'like'?",
        "kinds": "is 'POEM'; want one of NOVEL",
        "least": "is 'many'; want a whole number",
        "lent": "is '1'; want true or false",
        "within": "is '1h'; want a duration in seconds such as '300s'",
    }


async def test_values_of_well_known_types_come_back_as_they_went(stage: Stage) -> None:
    stage.services.play("GetBook", lambda request, _: form("Book", **played))
    played: dict[str, Any] = {
        "rating": {"value": 4.5},
        "notes": {"a": [1, None]},
        "mask": {"paths": ["a_b", "c"]},
    }
    answer = await stage.call("GET", "/forms/books/x")
    assert (answer.json["rating"], answer.json["notes"]) == (4.5, {"a": [1.0, None]})
    assert answer.json["mask"] == "a_b,c"


async def test_a_body_of_bytes(stage: Stage) -> None:
    sent = {"content-type": "image/png"}
    answer = await stage.call("POST", "/forms/uploads/u", b"\x89PNG\xff", headers=sent)
    assert (answer.status, answer.json) == (200, {})
    asked = stage.services.last
    assert (asked.name, asked.file.content_type, asked.file.data) == ("u", "image/png", b"\x89PNG\xff")


async def test_a_file_at_once(stage: Stage) -> None:
    stage.services.play("Download", piece(b"a,b\n"))
    answer = await stage.call("GET", "/forms/files:download")
    assert (answer.status, answer.text, answer.headers["content-type"]) == (200, "a,b\n", "text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="files.csv"'

    async def named(request: Any, context: Any) -> httpbody_pb2.HttpBody:
        await context.send_initial_metadata((("content-disposition", 'inline; filename="x.pdf"'),))
        return piece(b"%PDF", "application/pdf")

    stage.services.play("Download", named)
    answer = await stage.call("GET", "/forms/files:download")
    assert answer.headers["content-disposition"] == 'inline; filename="x.pdf"'


async def test_a_file_in_pieces(stage: Stage) -> None:
    async def pieces(request: Any, context: Any) -> AsyncIterator[Any]:
        for number in range(3):
            yield piece(f"{number}\n".encode(), "application/x-ndjson" if number == 0 else "")

    stage.services.play("Export", pieces)
    answer = await stage.call("GET", "/forms/books:export")
    assert (answer.status, answer.text) == (200, "0\n1\n2\n")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="books.jsonl"'
    assert (await stage.call("HEAD", "/forms/books:export")).text == ""


async def test_a_file_that_fails(stage: Stage) -> None:
    async def at_once(request: Any, context: Any) -> AsyncIterator[Any]:
        raise NotFound("there is no such book")
        yield

    async def later(request: Any, context: Any) -> AsyncIterator[Any]:
        yield piece(b"a")
        raise Unavailable("the database is away")

    async def empty(request: Any, context: Any) -> AsyncIterator[Any]:
        return
        yield

    stage.services.play("Export", at_once)
    assert (await stage.call("GET", "/forms/books:export")).error["message"] == "there is no such book"
    stage.services.play("Export", later)
    with pytest.raises(aiohttp.ClientPayloadError):
        await stage.call("GET", "/forms/books:export")
    stage.services.play("Export", empty)
    assert (await stage.call("GET", "/forms/books:export")).status == 204


async def test_a_stream_of_one_field_resumes(stage: Stage) -> None:
    async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
        yield form("WatchResponse", book={"title": request.resume_token}, resume_token="t9")

    stage.services.play("Watch", watch)
    answer = await stage.call("GET", "/forms/books:watch", headers={"last-event-id": "t8"})
    assert answer.text.startswith('retry: 1000\n\nid: t9\ndata: {"title":"t8",')


def test_the_document_says_all_of_it() -> None:
    document = openapi.document(forms())
    paths = document["paths"]
    names = [item["operationId"] for path in paths.values() for item in path.values()]
    assert len(names) == len(set(names))
    assert {"GetBook", "GetBook2", "GetBook3"} <= set(names)
    assert paths["/forms/{name}"]["get"]["parameters"][0]["name"] == "name"
    tag = paths["/forms/shelves/{shelf}/books/{title}:tag"]["put"]
    assert tag["requestBody"]["content"]["application/json"]["schema"]["type"] == "array"
    assert tag["responses"]["200"]["content"]["application/json"]["schema"]["type"] == "array"
    assert "*/*" in paths["/forms/books:export"]["get"]["responses"]["200"]["content"]
    said = {one["name"] for one in paths["/forms:search"]["get"]["parameters"]}
    assert {"kinds", "like.title", "like.rating", "least", "read_mask"} <= said
    assert not {"labels", "others", "like"} & said
    assert 'id="Upload"' in docs.render(document)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
