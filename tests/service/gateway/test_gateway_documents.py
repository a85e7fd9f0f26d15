"""What the gateway says about itself, without a token."""

import re

from tests.service.gateway.stage import Stage


async def test_the_document(stage: Stage) -> None:
    answer = await stage.call("GET", "/openapi.json", token=None)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json["openapi"] == "3.1.0"
    assert "/api/alert/alerts/{alert_id}:acknowledge" in answer.json["paths"]
    assert "/v2/enqueue" in answer.json["paths"]
    tagged = {"if-none-match": answer.headers["etag"]}
    assert (await stage.call("GET", "/openapi.json", token=None, headers=tagged)).status == 304


async def test_the_page(stage: Stage) -> None:
    answer = await stage.call("GET", "/docs", token=None)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "AcknowledgeAlert" in answer.text


async def test_a_browser_finds_the_page(stage: Stage) -> None:
    answer = await stage.call("GET", "/", token=None)
    assert (answer.status, answer.headers["location"]) == (302, "docs")


async def test_health(stage: Stage) -> None:
    answer = await stage.call("GET", "/healthz", token=None)
    assert (answer.status, answer.json) == (200, {"status": "SERVING"})


async def test_ids_that_clients_take_away_are_answered_as_documented(stage: Stage) -> None:
    """An empty segment, and `.` and `..`, which clients resolve: then the path may be another one's."""
    document = (await stage.call("GET", "/openapi.json", token=None)).json
    strange = 0
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            for odd in ("", ".", "..", "%2F", "%2e") if "{" in path else ():
                filled = "/" + "/".join(_resolved(re.sub(r"\{[^}]+\}", odd, path).split("/")[1:]))
                answer = await stage.call(verb.upper(), filled, {} if verb != "get" else None, token=None)
                assert str(answer.status) in operation["responses"], (verb, path, filled, answer.status)
                strange += answer.status == 405
    assert strange > 0


def _resolved(segments: list[str]) -> list[str]:
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    return kept


async def test_what_names_things_in_its_body_may_not_find_them(stage: Stage) -> None:
    """The document says so of every verb, whatever its path is like."""
    paths = (await stage.call("GET", "/openapi.json", token=None)).json["paths"]
    assert "404" in paths["/api/alert/alerts:escalation-run"]["post"]["responses"]
    assert "404" not in paths["/api/alert/alerts"]["get"]["responses"]


async def test_every_route_of_the_document_is_served(stage: Stage) -> None:
    """Each operation answers something else than 404 or 405 from the router."""
    document = (await stage.call("GET", "/openapi.json", token=None)).json
    for path, item in document["paths"].items():
        filled = path.replace("{", "x").replace("}", "")
        for verb in item:
            answer = await stage.call(
                verb.upper(), filled, token=None, headers={"x-request-timeout": "100ms"}
            )
            assert answer.status not in (404, 405, 500), (verb, path)
