"""`python -m tests.mutants`: break each rule, and print who noticed first; `--all` asks on.

Exit code 1 if nobody noticed, for any of them.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from functools import partial
from pathlib import Path

from .catchers import catch
from .rules import MUTANTS


def main() -> int:
    """The command; returns its exit code."""
    results, missed = {}, []
    asked = [name for name in sys.argv[1:] if name != "--all"]
    names = asked or ["(none)", *sorted(MUTANTS)]
    look = partial(catch, everybody="--all" in sys.argv)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count() or 1, maxtasksperchild=1) as pool:
        for name, said in pool.imap_unordered(look, names, chunksize=1):
            results[name] = said
            caught = [f"  {who} ({seconds:.1f} s): {what[:110]}" for who, (what, seconds) in said.items() if what]
            sys.stdout.write("\n".join([name, *(caught or ["  NOBODY"])]) + "\n")
            sys.stdout.flush()
            if bool(caught) == (name == "(none)"):
                missed.append(name)
    out = Path("build/mutants.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    sys.stdout.write(f"{len(results)} looked at, {len(missed)} not as it must be: {', '.join(missed) or 'none'}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
