"""`make demo`: the three sessions of sessions.example/ in the real program, in a throw-away folder.

On a terminal the picker opens on copies of them (nothing you do reaches the originals, the guide
answers, no key is needed); into a pipe they are printed. With `--svg` the picture of the README is
made instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHAT = Path(sys.executable).with_name("chat")


def copies(folder: Path) -> list[str]:
    """Copy the examples below ``folder`` as a data folder has them; returns their ids."""
    sessions = folder / "sessions"
    sessions.mkdir(mode=0o700)
    found = sorted((ROOT / "sessions.example").glob("*.json"))
    for path in found:
        target = sessions / path.name
        shutil.copy(path, target)
        target.chmod(0o600)
    return [path.stem for path in found]


def main() -> int:
    if "--svg" in sys.argv[1:]:
        sys.path.insert(0, str(ROOT / "tests"))
        from support.screenshot import main as shoot

        return shoot()
    with tempfile.TemporaryDirectory(prefix="chinwag-demo-") as name:
        ids = copies(Path(name))
        common = ["--data-dir", name]
        if sys.stdin.isatty() and sys.stdout.isatty():
            return subprocess.call([CHAT, *common, "-m", "guide", "--resume", *sys.argv[1:]])
        environ = {**os.environ, "NO_COLOR": "1"}
        codes = [
            subprocess.call([CHAT, "sessions", "show", each, *common], env=environ) for each in ids
        ]
        return max(codes)


if __name__ == "__main__":
    sys.exit(main())
