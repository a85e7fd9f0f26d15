"""A window of messages on their way to the broker: what its answers to some of them tell of all."""

import asyncio
import json
import re
from collections.abc import Collection, Sequence
from itertools import takewhile

from chassis.cloudevents import Message

_ACK = re.compile(rb'\{"stream":"[^"]+",\s*"seq":(\d+)(.*"duplicate":\s*true)?')


class Window:
    """Messages under way, and what the broker has answered to some of them: a place in the stream, or a problem."""

    def __init__(self, messages: Sequence[Message], asked: Collection[int]) -> None:
        """`asked` are the places in the window that an answer is asked for."""
        self.messages = messages
        self.asked = asked
        self.seqs: list[int | None] = [None] * len(messages)
        self.subjects = {f'"{message.subject.lower()}"' for message in messages}
        self.left = len(asked)
        self.problem = ""
        self.repeated = False
        self.done = asyncio.Event()

    def answer(self, place: int, data: bytes) -> None:
        """Takes the broker's answer to the message at this place."""
        if found := _ACK.match(data):
            self.seqs[place] = int(found[1])
            self.repeated |= found[2] is not None
        elif not self.problem:
            self.problem = json.loads(data)["error"]["description"] if data else "no stream"
        self.left -= 1
        if not self.left:
            self.done.set()

    def denied(self, text: str) -> None:
        """Ends the waiting when a denial, as the broker words it, is of a subject of this window."""
        if any(subject in text for subject in self.subjects):
            self.problem = text
            self.done.set()

    def acknowledged(self) -> list[int]:
        """From the front; all of them when the two ends are as far apart as they are in the window."""
        first, last = self.seqs[0], self.seqs[-1]
        if first and last and not self.repeated and last - first == len(self.seqs) - 1:
            return list(range(first, last + 1))
        return [seq for seq in takewhile(bool, self.seqs) if seq]
