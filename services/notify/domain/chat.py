"""Which providers chat messages may go by, and how their addresses, which are secrets, are shown."""

import re
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote, urlsplit

LONGEST_ADDRESS = 2_048
_NAMES = """\
    bark barks cliq dingtalk discord feishu flock gchat groupme guilded hassio hassios lark line mmost mmosts nctalk
    nctalks revolt rocket rockets ryver signal signals slack synology synologys tgram threema twist viber webex wecombot
    whapi whatsapp workflow workflows wxteams zcliq zoom zulip
    gotify gotifys ifttt join notifiarr ntfy ntfys onesignal pbul pover prowl psafer psafers push pushdeer pushdeers
    pushed pushme pushplus pushy schan signl4 simplepush spugpush spush wxpusher
    46elks atalk bulksms bulkvs burstsms clickatell clicksend cm d7sms dapnet elks exotel freemobile httpsms infobip
    kaleyra kavenegar kudosity msg91 msgbird nexmo octopush plivo ringc serwersms seven sfr sinch smsc smseagle smseagles
    smsmanager smsmgr sns telesign telnyx twilio voipms vonage
    goalert goalerts ilert opsgenie pagerduty pagertree spike splunk squadcast victorops
"""
PROVIDERS = frozenset(_NAMES.split())
"""Schemes of Apprise that speak HTTP alone, through connections that are checked: chat, push, SMS and voice, other pagers.

What reads files, opens sockets of its own or speaks to this machine is not here, nor is what another channel is for.
"""
REFUSED = frozenset(
    {"verify", "redirect", "rto", "cto", "store", "retry", "wait", "template", "attach", "attachment"}
)
"""Parameters that switch checks off, read files, or make one attempt many."""
_SCHEME = re.compile(r"([a-z0-9+.-]{1,32})://.", re.I | re.ASCII)
_SECRET_PART = 5


def scheme(address: str) -> str:
    """The scheme of an address; empty when it has none."""
    found = _SCHEME.match(address)
    return found[1].lower() if found else ""


def address_problem(address: str) -> str:
    """What keeps an address from being one for CHAT, as far as that shows without asking the provider's library."""
    if len(address) > LONGEST_ADDRESS:
        return f"has {len(address)} characters; want at most {LONGEST_ADDRESS}"
    if "…" in address:
        return "is one that was shown without its secrets; want the whole"
    if not address.isprintable() or " " in address:
        return "holds a space or a control character; want the URL of a provider"
    found = scheme(address)
    if not found:
        return "is not a URL; want one like slack://…, tgram://… or https://hooks.slack.com/…"
    if found not in PROVIDERS and found != "https":
        return f"has the scheme {found!r}, which is not one of the providers that messages go by"
    try:
        given = {name.lstrip("+-:").lower() for name, _ in parse_qsl(urlsplit(address).query, True)}
    except ValueError as error:
        return f"is not a URL: {error}"
    if refused := sorted(name for name in given if name in REFUSED or "file" in name):
        return f"has the parameter {refused[0]!r}, which is not available"
    return ""


def shown(address: str, digest: Callable[[str], bytes]) -> str:
    """An address as anybody may see it: its scheme, and six hex digits by which it can be told from others."""
    return f"{scheme(address)}://…{digest(address).hex()[:6]}"


def without_secrets(text: str, address: str) -> str:
    """A text, such as an error, without whatever of it stands in the address."""
    for part in sorted({unquote(part) for part in re.split(r"[/@:?&=,]+", address)}, key=len, reverse=True):
        if len(part) >= _SECRET_PART and part.lower() != scheme(address):
            text = text.replace(part, "…")
    return text
