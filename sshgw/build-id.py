#!/usr/bin/env python3
"""Name a build of the gateway by its sources: build-id.py VERSION ROOT HEADER DEPFILE

Two builds have the same name only if every source file of sshgw/ and common/ is the same.
"""

import hashlib
import sys
from pathlib import Path


def main():
    version, root, header, depfile = sys.argv[1:]
    files = sorted(path for folder in ("common", "sshgw") for path in (Path(root) / folder).rglob("*.[ch]"))
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root)} {len(content)}\n".encode() + content)
    Path(header).write_text(f'#define SSHGW_BUILD "{version}-{digest.hexdigest()[:16]}"\n', encoding="utf-8")
    depends = " ".join(str(path).replace(" ", "\\ ") for path in files)
    Path(depfile).write_text(f"{header}: {depends}\n", encoding="utf-8")


main()
