"""Typing traces, played by all contenders in turn."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from likely.benchmark.contenders import Contender
from likely.benchmark.timing import MILLISECONDS, Latency, latency
from likely.benchmark.traces import Key, Trace
from likely.models.reporting import Progress

_BLOCK = 15
"""Keystrokes before it is the next contender's turn: a machine's moods should hit all alike."""

HOMING = 0.4
"""Seconds from a click elsewhere to the first key there: the hand's way from mouse to keyboard in
the keystroke-level model (Card, Moran & Newell 1980, doi 10.1145/358886.358895)."""

_BETWEEN = 0.05
"""Seconds of rest between contenders: thread pools go on spinning for a moment."""


@dataclass(frozen=True, slots=True)
class Player:
    """A contender and how it is asked.

    `interval`: seconds between keystrokes, 0 where each follows upon the answer to the one
    before. `every`: only so many keystrokes are asked, where a contender is slow.
    """

    name: str
    contender: Contender
    interval: float
    every: int = 1


@dataclass(frozen=True, slots=True)
class Keystroke:
    """One answer: how long it took and what it needed.

    `rows`: tokens that went through the layers for it; `idle_rows` after it, while nobody
    waited.
    """

    seconds: float
    rows: int
    idle_rows: int


@dataclass(frozen=True, slots=True)
class Typing:
    """Figures of many keystrokes; `rows` and `idle_rows` per keystroke.

    `without_pass`: the share of keystrokes that needed no pass through the layers.
    """

    latency: Latency
    rows: float
    idle_rows: float
    without_pass: float


@dataclass(frozen=True, slots=True)
class Played:
    """Figures of one contender; `opening` is the mean time of the first list, in milliseconds."""

    overall: Typing
    traces: Mapping[str, Typing]
    opening: float


@dataclass(slots=True)
class _Record:
    openings: list[float] = field(default_factory=list)
    keystrokes: dict[str, list[Keystroke]] = field(default_factory=dict)


def play_all(
    players: Sequence[Player], traces: Sequence[Trace], progress: Progress
) -> dict[str, Played]:
    """Have all players type all traces, in turns."""
    records = {player.name: _Record() for player in players}
    total, done = sum(len(trace.keystrokes) for trace in traces), 0
    for trace in traces:
        for player in players:
            time.sleep(_BETWEEN)
            player.contender.clear()
            began = time.perf_counter()
            player.contender.answer(trace.opened)
            records[player.name].openings.append(time.perf_counter() - began)
            records[player.name].keystrokes[trace.name] = []
        for first in range(0, len(trace.keystrokes), _BLOCK):
            progress(f"Typing {trace.name}", done / total)
            block = trace.keystrokes[first : first + _BLOCK]
            for player in players:
                time.sleep(_BETWEEN)
                asked = [key for i, key in enumerate(block, first) if i % player.every == 0]
                records[player.name].keystrokes[trace.name] += _play(player, asked)
            done += len(block)
    return {name: _figures(record) for name, record in records.items()}


def _play(player: Player, keys: Sequence[Key]) -> list[Keystroke]:
    """Type; a keystroke's time counts from the moment when it is due.

    Who types does not run ahead of an answer that takes longer than the interval: it delays
    the next keystroke and counts once. Where the cursor comes from elsewhere, it is there
    `HOMING` before the key, and editors tell.
    """
    contender = player.contender
    played = []
    due = time.perf_counter()
    for text, arrival in keys:
        if arrival is not None and player.interval:
            due += HOMING
            contender.rest(arrival, due)
        rows = contender.rows_computed
        contender.answer(text)
        now = time.perf_counter()
        answered = contender.rows_computed
        seconds = now - due
        due += player.interval
        if due > now:
            contender.rest(text, due)
        else:
            due = now
        played.append(Keystroke(seconds, answered - rows, contender.rows_computed - answered))
    return played


def summarize(keystrokes: Sequence[Keystroke]) -> Typing:
    """Figures of keystrokes (at least one)."""
    return Typing(
        latency=latency([keystroke.seconds for keystroke in keystrokes]),
        rows=float(np.mean([keystroke.rows for keystroke in keystrokes])),
        idle_rows=float(np.mean([keystroke.idle_rows for keystroke in keystrokes])),
        without_pass=float(np.mean([keystroke.rows == 0 for keystroke in keystrokes])),
    )


def _figures(record: _Record) -> Played:
    return Played(
        overall=summarize([k for keystrokes in record.keystrokes.values() for k in keystrokes]),
        traces={name: summarize(keystrokes) for name, keystrokes in record.keystrokes.items()},
        opening=MILLISECONDS * float(np.mean(record.openings)),
    )
