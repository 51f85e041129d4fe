"""A model of a few hundred kilobytes that llama.cpp serves and whose answer is known beforehand.

It is a llama in form and a chain in effect: attention and feed-forward layers are computed but add
nothing (their last matrices are zero), and the output matrix is built so that each token's
embedding points at the token that follows it in `SCRIPT`. So a real engine tokenizes, batches,
samples and streams, and the test knows the words. Only the line end behind "assistant" starts it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imported where a model is written: what only reads `answer` needs neither
    import gguf

START, STOP, TURN = "<|end|>", "<|stop|>", "<|turn|>"
TEMPLATE = (
    "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}<|stop|>{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
TOOL_TEMPLATE = (  # one that tells the model of tools, and of calls and results
    "{% if tools %}<|turn|>tools\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}"
    "<|stop|>{% endif %}"
    "{% for m in messages %}<|turn|>{{ m.role }}\n{% if m.content %}{{ m.content }}{% endif %}"
    "{% if m.tool_calls %}{% for c in m.tool_calls %}<tool_call>"
    "{{ {'name': c.function.name, 'arguments': c.function.arguments} | tojson }}</tool_call>"
    "{% endfor %}{% endif %}<|stop|>{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
SCRIPT = (
    "Every| harbour| keeps| a| lamp| for| ships| that| come| late.|\n\n"
    "- count| the| masts\n|- then| the |ropes\n\n|```python\n|print(|'moored')|\n```|\n\nSo|"
    " says| this| very| small| model."
).split("|")  # no piece twice, none of one byte: a token stands in the chain once
GAIN = 6.0  # how far ahead of the others the next token is: about 40 at the temperature of one


def byte_letters() -> dict[int, str]:
    """The letter that stands for each byte in a byte-level vocabulary."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = (byte for byte in range(256) if byte not in plain)
    return {byte: chr(byte) for byte in plain} | {b: chr(256 + i) for i, b in enumerate(others)}


def wave(n: int) -> str:
    """The word of the endless model at place ``n``: letters only, so that it is one token."""
    return f"wave{chr(97 + n // 26)}{chr(97 + n % 26)}"


def chain(endless: int) -> list[str]:
    """The tokens of the answer, no two alike; ``endless`` > 0 is a wheel of that many waves."""
    return ["Waves:", *(f" {wave(n)}" for n in range(endless))] if endless else SCRIPT


def answer(endless: int = 0) -> str:
    """What the model says, whatever it is asked; the first round of an endless one."""
    return "".join(chain(endless))


def merges_of(words: list[str]) -> list[str]:
    """The merges that make words with a blank before them one token, first letters first."""
    found: dict[str, None] = {"z z": None}  # llama.cpp wants the list to be there
    for word in words:
        if word[0] == byte_letters()[32] and word[1:].isalpha():
            found |= {f"{word[:at]} {word[at]}": None for at in range(1, len(word))}
    return list(found)


def everyday_merges(count: int) -> list[str]:
    """The first merges of a vocabulary in everyday use, the most frequent first."""
    from chinwag.context import counting

    counter = counting.Counter()
    counter.load("gpt-4o")
    encoding = counter._encodings["o200k_base"]
    ranks: dict[bytes, int] = encoding._mergeable_ranks
    letters = byte_letters()
    words = sorted((word for word in ranks if len(word) > 1), key=ranks.__getitem__)
    pairs = (_parts(word, ranks) for word in words[:count])
    return [" ".join("".join(letters[b] for b in part) for part in pair) for pair in pairs]


def _parts(word: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """The two tokens of which the last merge made ``word``."""
    parts = [bytes([byte]) for byte in word]
    while len(parts) > 2:
        joined = [ranks.get(a + b, len(ranks)) for a, b in pairwise(parts)]
        at = joined.index(min(joined))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def write(
    path: Path,
    *,
    layers: int = 1,
    width: int = 128,
    endless: int = 0,
    template: str = TEMPLATE,
    more: Sequence[str] = (),
    wheel: Sequence[str] = (),
) -> Path:
    """Write the model. ``layers`` and ``width`` make it slower and change nothing else.

    ``more`` merges, as in `everyday_merges`, make of it one that reads most words as words; then
    ``wheel``, words that are one token each, may be what it says without end.
    """
    import gguf

    letters = byte_letters()
    said = ["".join(letters[b] for b in word.encode()) for word in wheel or chain(endless)]
    merges = list(more) if wheel else [*merges_of(said), *more]
    parts = [merge.replace(" ", "") for merge in merges]
    known = dict.fromkeys([*(letters[b] for b in range(256)), *parts, *said])
    tokens = [*known, START, STOP, TURN]
    out = gguf.GGUFWriter(str(path), "llama")
    _describe(out, tokens, merges, layers, width, template)
    _weigh(out, tokens, said, layers, width, loops=bool(endless or wheel))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return path


def _describe(
    out: gguf.GGUFWriter,
    tokens: list[str],
    merges: list[str],
    layers: int,
    width: int,
    template: str,
) -> None:
    import gguf

    out.add_name("harbour lamp")
    out.add_context_length(8192)
    out.add_embedding_length(width)
    out.add_block_count(layers)
    out.add_feed_forward_length(width)
    out.add_head_count(4)
    out.add_head_count_kv(4)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(width // 4)
    out.add_vocab_size(len(tokens))
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(tokens)
    kinds = [gguf.TokenType.NORMAL] * (len(tokens) - 3) + [gguf.TokenType.CONTROL] * 3
    out.add_token_types(kinds)
    out.add_token_merges(merges)
    out.add_bos_token_id(len(tokens) - 3)
    out.add_eos_token_id(len(tokens) - 2)
    out.add_add_bos_token(False)
    out.add_chat_template(template)


def _weigh(
    out: gguf.GGUFWriter,
    tokens: list[str],
    said: list[str],
    layers: int,
    width: int,
    *,
    loops: bool,
) -> None:
    import numpy as np

    rng = np.random.default_rng(20261120)
    places = rng.standard_normal((len(tokens), width)).astype(np.float32)
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    follows = np.zeros_like(places)
    where = {token: at for at, token in enumerate(tokens)}
    line_end = where[byte_letters()[ord("\n")]]
    path = [line_end, *(where[word] for word in said)]
    path.append(path[2] if loops else len(tokens) - 2)
    for now, then in pairwise(path):
        follows[then] += GAIN * places[now]
    out.add_tensor("token_embd.weight", places)
    out.add_tensor("output_norm.weight", np.ones(width, np.float32))
    out.add_tensor("output.weight", follows)
    some = (rng.standard_normal((width, width)) / width).astype(np.float32)
    for layer in range(layers):
        for name in ("attn_norm", "ffn_norm"):
            out.add_tensor(f"blk.{layer}.{name}.weight", np.ones(width, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up"):
            out.add_tensor(f"blk.{layer}.{name}.weight", some)
        for name in ("attn_output", "ffn_down"):
            out.add_tensor(f"blk.{layer}.{name}.weight", np.zeros_like(some))


if __name__ == "__main__":
    write(Path(sys.argv[1]), endless=int(sys.argv[2]) if sys.argv[2:] else 0)
