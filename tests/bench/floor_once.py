"""The floor of a one-shot in Python: httpx, one `json.loads` a frame, the answer printed whole."""

import json
import sys

# Its command line, which an `import httpx` drags in where click and rich are, is left out here too.
sys.modules["httpx._main"] = None
import httpx  # noqa: E402

question = {"stream": True, "messages": [{"role": "user", "content": sys.argv[2]}]}
said = []
with httpx.stream("POST", sys.argv[1] + "/chat/completions", json=question, timeout=60) as answer:
    for line in answer.iter_lines():
        if line.startswith("data: {"):
            choices = json.loads(line[6:])["choices"]
            said += [choice["delta"].get("content", "") for choice in choices]
print("".join(said))
