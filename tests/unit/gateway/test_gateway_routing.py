"""Paths find their routes: literals before variables, verbs, methods that are not allowed, decoded variables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Invalid, NotFound
from services.gateway.failures import MethodNotAllowed
from services.gateway.routing import Router, Template

ROUTES = [
    ("GET", "/alerts"), ("POST", "/alerts"), ("POST", "/alerts:batch"), ("GET", "/alerts/{alert_id}"),
    ("POST", "/alerts/{alert_id}:close"), ("GET", "/alerts/{alert_id}/actions"), ("GET", "/alerts/latest"),
    ("PATCH", "/people/{person.person_id}"), ("GET", "/people/{person_id}"), ("GET", "/"), ("POST", "/v2/enqueue/"),
    ("GET", "/{name=shelves/*/books/*}"), ("POST", "/{name=shelves/*}/{kind}:tag"), ("GET", "/files/{path=**}"),
    ("GET", "/files/*/{page=latest}:read"), ("POST", "/files/{path=old/**}:drop"),
]  # fmt: skip


@pytest.fixture
def router() -> Router[str]:
    router: Router[str] = Router()
    for method, template in ROUTES:
        router.add(method, template, f"{method} {template}")
    return router


@pytest.mark.parametrize(
    ("method", "path", "endpoint", "variables"),
    [
        ("GET", "/alerts", "GET /alerts", {}),
        ("HEAD", "/alerts", "GET /alerts", {}),
        ("POST", "/alerts:batch", "POST /alerts:batch", {}),
        ("GET", "/alerts/a1", "GET /alerts/{alert_id}", {"alert_id": "a1"}),
        ("GET", "/alerts/latest", "GET /alerts/latest", {}),
        ("POST", "/alerts/latest:close", "POST /alerts/{alert_id}:close", {"alert_id": "latest"}),
        ("GET", "/alerts/latest/actions", "GET /alerts/{alert_id}/actions", {"alert_id": "latest"}),
        ("POST", "/alerts/a%2Fb%3Ac:close", "POST /alerts/{alert_id}:close", {"alert_id": "a/b:c"}),
        ("GET", "/alerts/%C3%A4", "GET /alerts/{alert_id}", {"alert_id": "ä"}),
        ("PATCH", "/people/p", "PATCH /people/{person.person_id}", {"person.person_id": "p"}),
        ("GET", "/people/p", "GET /people/{person_id}", {"person_id": "p"}),
        ("GET", "/", "GET /", {}),
        ("POST", "/v2/enqueue/", "POST /v2/enqueue/", {}),
        ("GET", "/shelves/a/books/b", "GET /{name=shelves/*/books/*}", {"name": "shelves/a/books/b"}),
        (
            "GET",
            "/shelves/a%2Fx/books/%C3%A4",
            "GET /{name=shelves/*/books/*}",
            {"name": "shelves/a%2Fx/books/ä"},
        ),
        ("POST", "/shelves/a/k:tag", "POST /{name=shelves/*}/{kind}:tag", {"name": "shelves/a", "kind": "k"}),
        ("GET", "/files/a/b%20c", "GET /files/{path=**}", {"path": "a/b c"}),
        ("GET", "/files", "GET /files/{path=**}", {"path": ""}),
        ("GET", "/files/a/latest:read", "GET /files/*/{page=latest}:read", {"page": "latest"}),
        ("POST", "/files/old/a/b:drop", "POST /files/{path=old/**}:drop", {"path": "old/a/b"}),
    ],
)
def test_found(router: Router[str], method: str, path: str, endpoint: str, variables: dict[str, str]) -> None:
    match = router.find(method, path)
    assert (match.endpoint, match.variables) == (endpoint, variables)


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/alerts/",
        "/alerts/a/b",
        "/alerts/a:open",
        "/alerts:open",
        "//alerts",
        "/alerts/a:close:x",
        "/shelves/a/books",
        "/files/a//b",
        "/files/a/newest:read",
    ],
)
def test_unknown(router: Router[str], path: str) -> None:
    with pytest.raises(NotFound):
        router.find("GET", path)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/alerts", ["GET", "HEAD", "OPTIONS", "POST"]),
        ("GET", "/alerts/a:close", ["OPTIONS", "POST"]),
        ("OPTIONS", "/people/p", ["GET", "HEAD", "OPTIONS", "PATCH"]),
        ("DELETE", "/alerts/latest", ["GET", "HEAD", "OPTIONS"]),
    ],
)
def test_other_methods(router: Router[str], method: str, path: str, allowed: list[str]) -> None:
    with pytest.raises(MethodNotAllowed) as raised:
        router.find(method, path)
    assert raised.value.allowed == allowed


def test_a_variable_that_is_not_utf8(router: Router[str]) -> None:
    with pytest.raises(Invalid):
        router.find("GET", "/alerts/%ff")


def test_a_route_has_one_meaning(router: Router[str]) -> None:
    with pytest.raises(ValueError, match="two meanings"):
        router.add("GET", "/alerts/{id}", "again")


@pytest.mark.parametrize(
    "text",
    [
        "/a/**/b",
        "/a//b",
        "/a/{b",
        "/a/x{b}",
        "/a/{b=}",
        "/a/{b=**}/c",
        "/a/{b=c//d}",
        "/{a}/{a}",
        "/a/{b}x",
        "/a b",
    ],
)
def test_what_is_no_template(text: str) -> None:
    with pytest.raises(ValueError, match="the path template"):
        Template.parse(text)


def test_how_openapi_writes_a_path() -> None:
    assert Template.parse("/a/{b.c=d/*}/{e}:f").plain == "/a/{c}/{e}:f"


@given(st.text(alphabet="abs/:%{}lert?.", max_size=40), st.sampled_from(["GET", "POST", "X"]))
def test_any_path_is_found_or_refused(path: str, method: str) -> None:
    router: Router[int] = Router()
    for number, (verb, template) in enumerate(ROUTES):
        router.add(verb, template, number)
    try:
        router.find(method, path)
    except (NotFound, MethodNotAllowed, Invalid):
        return
