"""Type many keystrokes and watch the memory: `python tests/bench/endurance.py --keys 10000`.

Prints the private memory of this process, in MB, after every tenth of the keystrokes. The text
is typed through from its beginning again and again, with something new at each turn.
"""

import argparse
import time

import psutil

from likely.benchmark.texts import CODE, PROSE
from likely.engines.engine import Driver
from likely.engines.loading import load
from likely.models.sources import locate
from likely.prediction.lookahead import Answers
from likely.prediction.options import CursorOptions
from likely.prediction.window import TextBefore, reach

SCRIPT = PROSE + CODE
OPTIONS = CursorOptions(k=10, mode="exact", context_tokens=512, steady=True, document_start="auto")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--model", default="smollm2-135m")
    arguments = parser.parse_args()
    driver = Driver(load(locate(arguments.model), name=arguments.model))
    answers = Answers(driver.model)
    text, began = b"", time.perf_counter()
    process, step = psutil.Process(), max(1, arguments.keys // 10)
    for key in range(arguments.keys):
        turn, place = divmod(key, len(SCRIPT))
        text += SCRIPT[place : place + 1].encode() if place else f"\n{turn}\n".encode()
        seen = text.decode()[-reach(768) :].encode()
        driver.answer(answers.predict(TextBefore(seen, len(text) - len(seen)), OPTIONS))
        if (key + 1) % step == 0:
            private = process.memory_full_info().uss / 1e6
            rate = (key + 1) / (time.perf_counter() - began)
            print(f"{key + 1:>8,} keystrokes  {private:>7.0f} MB private  {rate:>5.0f} per second")


if __name__ == "__main__":
    main()
