"""`python -m tests.mutants`: break each rule, and print who noticed. Exit code 1 if nobody did, for any of them."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from pathlib import Path

from .catchers import catch
from .rules import MUTANTS


def main() -> int:
    """The command; returns its exit code."""
    results, missed = {}, []
    names = ["(none)", *sorted(MUTANTS)] if len(sys.argv) == 1 else sys.argv[1:]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count() or 1, maxtasksperchild=1) as pool:
        for name, said in pool.imap_unordered(catch, names, chunksize=1):
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
