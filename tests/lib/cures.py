# SPDX-License-Identifier: Apache-2.0
"""Commands that messages tell people to run, one a line, from the strings of builder/ and overlays/.

A command stands between backticks, or is a program with its words at the start of a string or after a word that leads
to it. Adjacent string literals of C are one string. What a value completes stays as the format or variable it is.
"""
import pathlib
import re
import sys

VERBS = "init|check|plan|render|lock|fetch|build|verify|inspect|diff|flash|devices|boot|status|backup|secrets|kubeconfig|sign|doctor|schema|%s"
PROGRAMS = "sudo|chmod|chown|ssh-keygen|ssh-keyscan|lsblk|openssl|kubectl|cilium|journalctl|systemctl|df|sed|ln|rm|apt-get"
BACKTICKS = re.compile(rf"`((?:pibuild (?:{VERBS})|(?:{PROGRAMS}|xz) )[^`]*)`")
LED_TO = re.compile(rf"(?:^|: |; |, |run |or |with |sure, )((?:{PROGRAMS}) (?:-|[+a-z0-9/]|%s|\$)[^`;,()]*)")
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def c_strings(text):
    text = re.sub(r'("(?:[^"\\\n]|\\.)*")|/\*.*?\*/', lambda m: m.group(1) or " ", text, flags=re.S)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    text = re.sub(r"\.examples = \{[^}]*\}", "", text)  # of --help; usage.bats looks at them
    for run in re.finditer(r'"(?:[^"\\\n]|\\.)*"(?:\s*(?:PRI[a-z0-9]+\s*)?"(?:[^"\\\n]|\\.)*")*', text):
        yield "".join(LITERAL.findall(run.group()))


def sh_strings(text):
    """Of lines that tell people something: the cause and cure of why, note and hopeless, and what is echoed."""
    text = re.sub(r"\\\n\s*", " ", text)
    for line in text.splitlines():
        if re.search(r"\b(why|note|hopeless|echo|cure|grow|fail)\b", line) and not line.lstrip().startswith("#"):
            for literal in LITERAL.findall(line) + re.findall(r"'([^']*)'", line):
                yield literal


def main(top):
    found = set()
    for path in sorted(top.glob("builder/**/*.c")) + sorted(top.glob("overlays/**/usr/lib/pibuild/**/*")):
        if not path.is_file() or path.suffix == ".awk":
            continue
        for string in (c_strings if path.suffix == ".c" else sh_strings)(path.read_text()):
            string = string.replace("\\n", " ").replace('\\"', '"').replace("\\\\", "\\")
            for match in list(BACKTICKS.finditer(string)) + list(LED_TO.finditer(BACKTICKS.sub("", string))):
                found.add(" ".join(match.group(1).split()).rstrip(".:"))
    print("\n".join(sorted(found)))


main(pathlib.Path(sys.argv[1]))
