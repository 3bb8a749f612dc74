"""The command line: its contracts, its messages, and how little it imports."""

import io
import json
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest
from huggingface_hub import constants

import tiny_models
from likely import __version__, cli, next_tokens
from likely.models import sources

PHRASE = "This weekend I plan to"
PATIENCE = 120.0


class Done(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in this process, with a cache of its own and no network."""
    monkeypatch.setenv("LIKELY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")

    def command(*arguments: str, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "argv", ["likely", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        return Done(int(leaving.value.code or 0), *capsys.readouterr())

    return command


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.write_llama(tmp_path_factory.mktemp("llama")))


def one_line(done: Done) -> str:
    """Return what a failed command said: one line, no traceback, nothing on stdout."""
    assert done.out == ""
    assert done.err.endswith("\n")
    assert done.err.count("\n") == 1
    assert done.err.startswith("likely: ")
    return done.err


# --- predict --------------------------------------------------------------------------------


def test_predict_prints_a_table_with_bars_and_the_rest(run: Run, llama: str) -> None:
    done = run("predict", PHRASE, "-k", "3", "--model", llama)
    assert done.status == 0
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["#", "1", "2", "3", "rest"]
    assert all("█" in line for line in lines[1:4])
    assert lines[5].startswith(f"{llama} · raw · ")
    assert done.err == ""


def test_predict_prints_json_alone(run: Run, llama: str) -> None:
    done = run("predict", PHRASE, "--json", "--model", llama)
    assert (done.status, done.err) == (0, "")
    found = json.loads(done.out)
    assert found["model"] == llama
    assert found["mode"] == "raw"
    assert found["text"] == PHRASE
    assert [entry["rank"] for entry in found["candidates"]] == list(range(1, 11))
    total = sum(entry["probability"] for entry in found["candidates"])
    assert total + found["rest"] == pytest.approx(1)
    for entry in found["candidates"]:
        assert bytes.fromhex(entry["bytes"]).decode(errors="replace") == entry["text"]


def test_predict_agrees_with_a_plain_forward_pass(run: Run, llama: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(llama)(PHRASE, return_tensors="pt")["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(llama)
    row = torch.softmax(model(ids).logits[0, -1], dim=-1)
    found = json.loads(run("predict", PHRASE, "--json", "--model", llama).out)
    assert found["context_tokens"] == ids.shape[1]
    for entry in found["candidates"]:
        assert entry["probability"] == pytest.approx(float(row[entry["ids"][0]].detach()), abs=1e-5)


@pytest.mark.parametrize(
    ("stdin", "text"),
    [
        ("I plan\r\n ", "I plan\r\n "),
        ("I plan", "I plan"),
        ("I plan\n", "I plan"),
        ("I plan\r\n", "I plan"),
        ("I plan\n\n", "I plan\n"),
        ("I plan\r", "I plan\r"),
        ("\n", ""),
    ],
)
def test_predict_reads_standard_input_but_for_one_final_line_end(
    run: Run, llama: str, stdin: str, text: str
) -> None:
    arguments = ("--json", "--model", llama)
    read = json.loads(run("predict", "-", *arguments, stdin=stdin.encode()).out)
    assert read["text"] == text
    assert read == json.loads(run("predict", text, *arguments).out)


def test_a_window_beyond_the_model_is_said(run: Run, llama: str) -> None:
    beyond = run("predict", PHRASE, "--model", llama, "--context-tokens", "200")
    assert beyond.status == 0
    assert "tiny" not in beyond.err
    assert "sees at most 128 tokens, and not the 200 of --context-tokens" in beyond.err
    assert beyond.err.count("\n") == 1
    within = run("predict", PHRASE, "--model", llama, "--context-tokens", "128")
    assert within == (0, beyond.out, "")


def test_the_list_is_as_long_as_the_vocabulary_at_most(run: Run, llama: str) -> None:
    found = json.loads(run("predict", PHRASE, "-k", "50000", "--json", "--model", llama).out)
    assert 200 < len(found["candidates"]) < 400
    assert found["rest"] < 0.1


def test_predict_in_exact_mode_tells_the_fragment(run: Run, llama: str) -> None:
    done = run("predict", "I plan to vis", "--mode", "exact", "--json", "--model", llama)
    found = json.loads(done.out)
    assert found["mode"] == "exact"
    assert found["method"] in ("exact", "healed", "raw")
    assert "fragment" in found
    assert "fragment_probability" in found


@pytest.mark.parametrize(
    ("text", "start", "before", "says"),
    [
        ("to", "none", "", "nothing before the text"),
        ("to", "bos", "<|endoftext|>", "<|endoftext|> before the text"),
        ("to", "auto", "<|endoftext|>", "<|endoftext|> before the text"),
        ("to", "space", "a space", "a space before the text"),
        (" to", "space", "", "nothing before the text"),
        ("", "none", "<|endoftext|>", "<|endoftext|> before the text"),
        ("to be or not " * 100, "none", None, "32 tokens of context"),
    ],
)
def test_predict_says_what_stands_before_the_text(
    run: Run, llama: str, text: str, start: str, before: str | None, says: str
) -> None:
    arguments = ["predict", text, "--model", llama, "--document-start", start]
    if before is None:
        arguments += ["--context-tokens", "32"]
    assert json.loads(run(*arguments, "--json").out)["before_text"] == before
    caption = run(*arguments).out.splitlines()[-1]
    assert ("before the text" in caption) == (before is not None)
    assert before is None or f" of context · {says} · " in caption


def test_document_start_makes_a_difference(run: Run, llama: str) -> None:
    tokens = {
        start: json.loads(
            run("predict", "to", "--json", "--model", llama, "--document-start", start).out
        )["context_tokens"]
        for start in ("none", "bos")
    }
    assert tokens["bos"] == tokens["none"] + 1


def test_the_context_is_bounded(run: Run, llama: str) -> None:
    text = "This weekend I plan to visit the lake. " * 200
    arguments = ("predict", text, "--json", "--model", llama, "--context-tokens", "32")
    assert json.loads(run(*arguments).out)["context_tokens"] <= 32


@pytest.mark.parametrize("text", ["naïve 🙂 日本", "<|endoftext|>", "a\x00b", "   ", "\n\n"])
def test_predict_takes_any_text(run: Run, llama: str, text: str) -> None:
    done = run("predict", "-", "--json", "--model", llama, stdin=f"{text}\n".encode())
    assert done.status == 0
    assert json.loads(done.out)["text"] == text


# --- mistakes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["predict"], "Missing argument 'TEXT'"),
        (["predict", "x", "-k", "0"], "Invalid value for '-k'"),
        (["predict", "x", "-k", "ten"], "Invalid value for '-k'"),
        (["predict", "x", "--mode", "fuzzy"], "Invalid value for '--mode'"),
        (["predict", "x", "--device", "tpu"], "Invalid value for '--device'"),
        (["predict", "x", "--context-tokens", "3"], "Invalid value for '--context-tokens'"),
        (["predict", "x", "--document-start", "eos"], "Invalid value for '--document-start'"),
        (["predict", "x", "--nonsense"], "No such option"),
        (["nonsense"], "No such command 'nonsense'"),
        (["models", "nonsense"], "No such command 'nonsense'"),
        (["predict", "x", "--model", "/no/such/folder"], "there is no file or folder"),
        (["predict", "x", "--model", "not a model"], "neither smollm2-135m"),
        (["predict", "x", "--model", "org/name"], "org/name is not on this machine"),
        (["predict", "x", "--model", "org/name", "--offline"], "offline is set"),
        (["models", "fetch", "org/name"], "org/name is not on this machine"),
        (["models", "remove", "smollm2-135m"], "smollm2-135m is not cached"),
        (["models", "remove", "org/name"], "org/name is not cached"),
        (["models", "path", "/no/such/folder"], "there is no file or folder"),
        (["serve", "--tcp", "nonsense"], "give HOST:PORT"),
        (["serve", "--tcp", "127.0.0.1:99999"], "give HOST:PORT"),
        (["serve", "--tcp", "*:8765"], "name the address"),
        (["serve", "--stdio", "--tcp", "8765"], "choose one of --stdio and --tcp"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(run: Run, arguments: list[str], expected: str) -> None:
    done = run(*arguments)
    assert done.status == 2
    assert expected in one_line(done)


def test_standard_input_that_is_no_text_is_a_mistake(run: Run) -> None:
    done = run("predict", "-", stdin=b"abc\xff")
    assert done.status == 2
    assert "not UTF-8 at byte 3" in one_line(done)


def test_a_machine_that_cannot_is_one_line_and_status_1(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> Path:
        raise sources.ModelUnavailableError("no space left in /cache for smollm2-135m: free some")

    monkeypatch.setattr(sources, "locate", full)
    done = run("models", "path", "smollm2-135m")
    assert done.status == 1
    assert "no space left" in one_line(done)


def test_an_interruption_is_one_line_and_status_1(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(sources, "locate", interrupted)
    done = run("models", "path", "smollm2-135m")
    assert done.status == 1
    assert "interrupted" in done.err


HOSTILE = "\x1b]0;owned\x07[red]x[/red]\n[Fix it](command:x)" + "y" * 5000


@pytest.mark.parametrize("command", [["predict", "x", "--model"], ["doctor", "--model"]])
def test_what_a_models_files_say_cannot_speak_to_the_terminal(
    run: Run, tmp_path: Path, command: list[str]
) -> None:
    folder = tiny_models.write_llama(tmp_path / "hostile", model_type=HOSTILE)
    done = run(*command, str(folder))
    said = done.out + done.err
    assert "⟨1B⟩]0;owned⟨7⟩[red]x[/red] [Fix it]" in said
    assert "\x1b" not in said
    assert "\x07" not in said
    assert max(map(len, said.splitlines())) < 1000


def test_a_models_name_is_no_markup(
    run: Run, llama: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "[red]x\x1b"
    folder.symlink_to(llama)
    assert "[red]x⟨1B⟩ · raw" in run("predict", "x", "--model", str(folder)).out
    entry = sources.ModelEntry("[red]org/name\x1b", "[bold]it", cached=False)
    monkeypatch.setattr(sources, "list_models", lambda: [entry])
    listed = run("models").out
    assert "[red]org/name⟨1B⟩" in listed
    assert "[bold]it" in listed


# --- models, doctor, serve ------------------------------------------------------------------


def test_path_prints_the_folder_alone(run: Run, llama: str) -> None:
    assert run("models", "path", llama) == (0, f"{llama}\n", "")


def test_models_lists_the_default_first(run: Run) -> None:
    for arguments in (["models"], ["models", "list"]):
        done = run(*arguments)
        assert done.status == 0
        lines = done.out.splitlines()
        assert lines[1].split()[:2] == ["smollm2-135m", "-"]
        assert "distilgpt2" in done.out


def test_doctor_finds_a_model_that_works(run: Run, llama: str) -> None:
    done = run("doctor", "--model", llama)
    assert done.status == 0
    assert "nothing is wrong" in done.out
    for subject in ("likely", "python", "torch", "devices", "threads", "cache", "model", "trial"):
        assert f"\n{subject} " in f"\n{done.out}"


def test_doctor_does_not_mind_a_model_that_is_not_fetched_yet(run: Run) -> None:
    done = run("doctor")
    assert done.status == 0
    assert "`likely models fetch smollm2-135m` gets it" in done.out


def test_doctor_says_what_is_wrong(run: Run, tmp_path: Path) -> None:
    folder = tiny_models.write_llama(tmp_path / "broken")
    os.truncate(folder / "model.safetensors", 1000)
    done = run("doctor", "--model", str(folder))
    assert done.status == 1
    assert "wrong: " in done.out
    assert "is truncated" in done.out


def test_doctor_finds_weights_that_are_no_numbers(run: Run, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tiny_models.write_llama(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.down_proj.weight"
    weights[name][3, 4] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for command in (["doctor"], ["predict", "x"]):
        done = run(*command, "--model", str(folder))
        assert done.status in (1, 2)
        said = f"{folder}: the weights in {name} hold NaN or infinity; fetch the model again"
        assert said in done.out + done.err
        assert "nothing is wrong" not in done.out
        assert "nan%" not in done.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ("stdio",)),
        (["--stdio"], ("stdio",)),
        (["--tcp", "8765"], ("tcp", "127.0.0.1", 8765)),
        (["--tcp", ":8765"], ("tcp", "127.0.0.1", 8765)),
        (["--tcp", "[::1]:8765"], ("tcp", "::1", 8765)),
        (["--tcp", "0.0.0.0:8765"], ("tcp", "0.0.0.0", 8765)),
    ],
)
def test_serve_listens_on_this_machine_unless_told_otherwise(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    expected: tuple[object, ...],
) -> None:
    served: list[tuple[object, ...]] = []
    server = types.ModuleType("likely.lsp.server")

    def serve(kind: str, *where: object) -> NoReturn:
        served.append((kind, *where))
        sys.exit(0)

    server.serve_stdio = lambda load, listed: serve("stdio")  # type: ignore[attr-defined]
    server.serve_tcp = lambda load, listed, *where: serve("tcp", *where)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "likely.lsp.server", server)
    done = run("serve", *arguments)
    assert (done.status, served) == (0, [expected])
    assert ("can read what is typed" in done.err) == (expected[1:2] == ("0.0.0.0",))


def test_help_and_version(run: Run) -> None:
    assert run("--version").out == f"likely, version {__version__}\n"
    for arguments in ([], ["--help"], ["predict", "-h"], ["models", "--help"]):
        done = run(*arguments)
        assert (done.status, done.err) == (0, "")
        assert "Usage: likely" in done.out


# --- the process ----------------------------------------------------------------------------


def test_the_module_runs_as_a_program_and_a_closed_pipe_is_no_traceback(llama: str) -> None:
    command = [sys.executable, "-m", "likely", "predict", PHRASE, "--model", llama]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    # On a busy machine it says what takes so long.
    assert "Traceback" not in done.stderr
    assert "#####" in done.stdout
    assert done.stdout.isascii()

    process = subprocess.Popen(
        [*command, "-k", "300"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert "Traceback" not in process.stderr.read()
    assert process.wait() == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no terminal to open on Windows")
def test_serve_on_a_terminal_says_what_it_is_and_ends_at_ctrl_c() -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "likely", "serve"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said = b""
    while said.count(b"\n") < 2:
        said += os.read(ours, 1000)
    assert b"likely: this is the language server" in said
    assert b"Ctrl-C ends it" in said
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == -signal.SIGINT
    os.close(ours)


def test_a_bad_path_is_told_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys, likely.cli\n"
        "try: likely.cli.main()\n"
        "except SystemExit as leaving: print(leaving.code)\n"
        "print([m for m in ('torch', 'transformers', 'gguf', 'pandas') if m in sys.modules])"
    )
    for model in ("/no/such/folder", str(tmp_path), "~/nothing.gguf"):
        for command in (["predict", "x", "--model", model], ["models", "path", model]):
            done = subprocess.run(
                [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True
            )
            assert done.stdout.splitlines() == ["2", "[]"], done.stderr
            assert done.stderr.startswith("likely: ")


def test_the_command_line_imports_nothing_heavy() -> None:
    code = (
        "import sys; import likely.cli; "
        "heavy = ('torch', 'transformers', 'numpy', 'rich', 'huggingface_hub', 'pygls'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the Python function --------------------------------------------------------------------


def test_the_function_keeps_the_model_between_calls(
    llama: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import likely

    first = likely.predict_next_tokens(PHRASE, 5, model=llama)
    assert isinstance(first, next_tokens.NextTokens)
    assert len(first) == 5

    def never(*_: object, **__: object) -> Path:
        raise AssertionError

    monkeypatch.setattr(sources, "locate", never)
    again = likely.predict_next_tokens(PHRASE.encode(), k=3, model=llama)
    assert list(again) == list(first[:3])


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"phrase": None}, TypeError, "phrase must be str or bytes, not None"),
        ({"phrase": ["a"]}, TypeError, "phrase must be str or bytes, not ['a']"),
        ({"phrase": b"abc\xff"}, ValueError, "phrase is not UTF-8 at byte 3"),
        ({"k": 0}, ValueError, "k must be an int of at least 1, not 0"),
        ({"k": 2.5}, TypeError, "k must be an int of at least 1, not 2.5"),
        ({"k": True}, TypeError, "k must be an int of at least 1, not True"),
        ({"k": None}, TypeError, "k must be an int"),
        ({"k": 10**6}, ValueError, "k must be an int from 1 to 304, not 1000000"),
        ({"mode": "Exact"}, ValueError, "mode must be one of 'exact', 'raw', not 'Exact'"),
        ({"mode": None}, TypeError, "mode must be one of 'exact', 'raw', not None"),
        (
            {"document_start": "x"},
            ValueError,
            "document_start must be one of 'auto', 'none', 'bos', 'space', not 'x'",
        ),
        (
            {"device": "tpu"},
            ValueError,
            "device must be one of 'auto', 'cpu', 'cuda', 'mps', not 'tpu'",
        ),
        ({"context_tokens": 3}, ValueError, "context_tokens must be an int of at least 16"),
        ({"context_tokens": "512"}, TypeError, "context_tokens must be an int"),
        ({"threads": 0}, ValueError, "threads must be an int from 1 to 1,024, not 0"),
        ({"threads": 2.0}, TypeError, "threads must be an int"),
        ({"model": None}, TypeError, "model must be str or a path, not None"),
        ({"revision": 3}, TypeError, "revision must be str or None, not 3"),
        ({"offline": 1}, TypeError, "offline must be bool, not 1"),
    ],
)
def test_the_function_names_the_argument_that_cannot_be(
    llama: str, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    import likely

    with pytest.raises(error) as raised:
        likely.predict_next_tokens(**{"phrase": PHRASE, "model": llama, **arguments})
    assert says in str(raised.value)


def test_the_function_takes_paths_and_numpys_integers(llama: str) -> None:
    import numpy as np

    import likely

    three: Any = np.int64(3)
    made = likely.predict_next_tokens(PHRASE, three, model=Path(llama))
    assert len(made) == 3
    assert made[0].text == made[0].insertion.decode(errors="replace")


def test_the_function_takes_lone_surrogates(llama: str) -> None:
    import likely

    lone = likely.predict_next_tokens("a\ud800", model=llama)
    assert list(lone) == list(likely.predict_next_tokens("a\ufffd", model=llama))
    pair = likely.predict_next_tokens("\ud83d\ude42", model=llama)
    assert list(pair) == list(likely.predict_next_tokens("🙂", model=llama))
