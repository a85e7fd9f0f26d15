"""What the gateway says about itself, without a token."""

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


async def test_health(stage: Stage) -> None:
    answer = await stage.call("GET", "/healthz", token=None)
    assert (answer.status, answer.json) == (200, {"status": "SERVING"})


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
