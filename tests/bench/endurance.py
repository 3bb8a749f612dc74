"""Type many keystrokes and watch the memory: `python tests/bench/endurance.py --keys 10000`.

Prints the private memory of a server, in MB, after every tenth of the keystrokes. The text is
typed through from its beginning again and again, with something new at each turn.
"""

import argparse
import asyncio
import time

import psutil

from likely.benchmark.editor import Editor
from likely.benchmark.keystrokes import beginning_and_rest

SCRIPT = "".join("".join(beginning_and_rest(name)) for name in ("prose", "code"))


async def endure(model: str, keys: int) -> None:
    text, step = "", max(1, keys // 10)
    async with Editor({"model": model, "device": "cpu"}) as editor:
        await editor.open("\n")
        process, began = psutil.Process(editor.process.pid), time.perf_counter()
        for key in range(keys):
            turn, place = divmod(key, len(SCRIPT))
            pressed = SCRIPT[place] if place else f"\n{turn}\n"
            await editor.press(text, pressed)
            text += pressed
            if (key + 1) % step == 0:
                private = process.memory_full_info().uss / 1e6
                rate = (key + 1) / (time.perf_counter() - began)
                print(f"{key + 1:>8,} keystrokes {private:>7.0f} MB private {rate:>5.0f} a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--model", default="smollm2-135m")
    arguments = parser.parse_args()
    asyncio.run(endure(arguments.model, arguments.keys))


if __name__ == "__main__":
    main()
