"""The floor of streaming in Python: httpx, one `json.loads` a frame, one `print` a token."""

import json
import sys

import httpx

question = {"stream": True, "messages": [{"role": "user", "content": sys.argv[2]}]}
with httpx.stream("POST", sys.argv[1] + "/chat/completions", json=question, timeout=60) as answer:
    for line in answer.iter_lines():
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                print(choice["delta"].get("content", ""), end="", flush=True)
