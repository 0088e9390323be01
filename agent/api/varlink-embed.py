#!/usr/bin/env python3
"""Make a C source with a text file as a string: varlink-embed.py FILE SYMBOL OUTPUT"""

import sys


def quoted(line):
    return '\t"' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n"'


def main():
    source, symbol, output = sys.argv[1:]
    with open(source, encoding="utf-8") as f:
        lines = f.read().splitlines()
    with open(output, "w", encoding="utf-8") as f:
        f.write(f'#include "agent/api/description.h"\n\nconst char {symbol}[] =\n')
        f.write("\n".join(quoted(line) for line in lines) + ";\n")


main()
