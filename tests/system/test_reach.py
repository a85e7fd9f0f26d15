"""A person who cannot be reached holds up nobody, and who comes too late is told so."""

from tests.system.world import World

FORM = {"content-type": "application/x-www-form-urlencoded"}


async def click(world: World, link: str) -> str:
    """The page that a person sees who opens a receipt link and presses its button."""
    async with world.http.get(link) as asked:
        assert asked.status == 200
    async with world.http.post(link, data=b"", headers=FORM) as answer:
        assert answer.status == 200
        return await answer.text()


async def test_the_next_level_is_told_at_once_when_a_person_is_out_of_reach(world: World) -> None:
    """Her provider says that nothing arrived; his says so too, but he has taken it meanwhile."""
    ada, bob, carol = [await world.responder(name) for name in ("ada", "bob", "carol")]
    policy = await world.policy(*((f"responder://{name}", 600) for name in (ada, bob, carol)))
    alert_id = (await world.trigger(policy_id=policy))["alert"]["alert_id"]
    first = await world.expect_page(ada, alert_id=alert_id)
    failed = {"status": "FAILED", "detail": "no such number"}
    await world.call("POST", first.data["receipt_url"], failed, token=None)
    second = await world.expect_page(bob, alert_id=alert_id)
    assert second.data["level"] == 2
    assert "The alert is yours" in await click(world, second.data["receipt_url"])
    await world.call("POST", second.data["receipt_url"], failed | {"receipt_id": "late"}, token=None)

    witness = (await world.trigger("witness", policy_id=policy))["alert"]["alert_id"]
    page = await world.expect_page(ada, alert_id=witness)
    await world.call("POST", page.data["receipt_url"], failed, token=None)
    await world.expect_page(bob, alert_id=witness)  # by then what was said before is known, too
    assert world.pages(carol, alert_id) == []
    assert len((await world.ok("GET", f"/alerts/{alert_id}/escalations"))["executions"]) == 2


async def test_a_click_tells_what_truly_became_of_the_alert(world: World) -> None:
    """Also a second click, one that is too late, and one on an alert that is over."""
    ada, bob = await world.responder("ada"), await world.responder("bob")
    policy = await world.policy((f"responder://{ada}", 600), (f"responder://{bob}", 600))
    alert_id = (await world.trigger(policy_id=policy))["alert"]["alert_id"]
    hers = (await world.expect_page(ada, alert_id=alert_id)).data["receipt_url"]
    await world.ok("POST", f"/alerts/{alert_id}:escalate", {})
    his = (await world.expect_page(bob, alert_id=alert_id)).data["receipt_url"]
    assert "The alert is yours" in await click(world, hers)
    assert "The alert is yours" in await click(world, hers)
    assert f"{ada} has it already" in await click(world, his)
    await world.ok("POST", f"/alerts/{alert_id}:close", {"actor": bob})
    assert f"{bob} has closed it" in await click(world, hers)
    assert "You have closed it" in await click(world, his)

    over = (await world.trigger("over", policy_id=policy))["alert"]["alert_id"]
    link = (await world.expect_page(ada, alert_id=over)).data["receipt_url"]
    await world.ok("POST", f"/alerts/{over}:close", {"actor": bob})
    assert f"{bob} has closed it" in await click(world, link)
    assert (await world.alert(over))["acked_by"] == ""
