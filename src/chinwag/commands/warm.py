"""`/warm`: what a server keeps of what it has read, so that going on with a long talk is quick.

Invariant: whatever comes of it, the talk is as it was; each says what came of it.
"""

from __future__ import annotations

from chinwag.commands.bench import Bench
from chinwag.commands.table import WARM, Command, Group, Kind
from chinwag.commands.words import escaped, say, table
from chinwag.engine.warm import Done
from chinwag.errors import UsageWrong, nearest
from chinwag.talk.event import Ear, Page


async def warm(bench: Bench, words: list[str], hear: Ear) -> None:
    state = bench.conversation.warm
    match words:
        case []:
            rows = [(name, escaped(text)) for name, text in await state.status()]
            hear(Page("Warm state", table(("", "now"), rows)))
        case ["save"]:
            _tell(await state.save(), hear)
        case ["restore"]:
            _tell(await state.restore(), hear)
        case ["drop"]:
            _tell(await state.drop(), hear)
        case [word, *_]:
            near = nearest(word, [name for name, _ in WARM], 1)
            hint = f"did you mean {near[0]}?" if near else ""
            raise UsageWrong(
                f"/warm does not know {word!r}", usage="/warm [save|restore|drop]", hint=hint
            )


def _tell(done: Done, hear: Ear) -> None:
    say(hear, f"{done.said} ({done.hint})" if done.hint else done.said)


COMMANDS: tuple[Command, ...] = (
    Command(
        "warm",
        "have the server keep what it has read of this talk",
        Group.CONTEXT,
        warm,
        asked="resume quickly; kv cache; prompt cache; slot; snapshot; keep_alive; keep the model "
        "loaded; avoid processing the history again",
        usage="[save|restore|drop]",
        kinds=(Kind.WARM,),
        most=1,
        detail="A long talk has to be read again from its beginning after the server was "
        "restarted, or has talked with others. A llama.cpp server that runs with "
        "`--slot-save-path` can write what it has read to its own disk: `save` has it do so, "
        "`restore` has it read back, and the next answer says how much was really reused. What "
        "does not fit any more (another model, build or template, a talk that has changed) is not "
        "restored but read anew. Ollama is asked to keep the model loaded. Others cache prompts "
        "by themselves; `/warm` alone says what there is. The file holds the talk: `drop`, and "
        "deleting the session, empty it. Of a private talk nothing is kept.",
    ),
)
