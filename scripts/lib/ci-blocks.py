#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What no schema knows of the CI files: `ci-blocks.py OUT FILE...`

Writes every `run:` (GitHub) and `script:` (GitLab) below OUT as a shell program of its own, for shellcheck, and says
what breaks the house rules: an expression inside a `run:`, which would make outside text shell; an action that is not
pinned by its full commit with the version behind it; a job of a workflow without permissions or a time limit. Exit 1
then.
"""
import os
import re
import sys

import yaml

faults = []


def complain(path, text):
    faults.append(f"{path}: {text}")


def lists_of_steps(doc):
    """Steps of a composite action, or of each job of a workflow."""
    yield doc.get("runs", {}).get("steps", [])
    for job in doc.get("jobs", {}).values():
        yield job.get("steps", [])


def github(path, doc, text):
    for steps in lists_of_steps(doc):
        for step in steps:
            if "run" in step:
                if "${{" in step["run"]:
                    complain(path, f"an expression in a run: {step['run']!r}; hand it over by env")
                yield step["run"]
    for line in re.findall(r"uses: *(.*)", text):
        if not line.startswith("./") and not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*", line):
            complain(path, f"not pinned by commit and version: {line}")
    for name, job in doc.get("jobs", {}).items():
        if "permissions" not in doc:
            complain(path, "the workflow has no permissions")
        if "timeout-minutes" not in job:
            complain(path, f"job {name} has no timeout-minutes")


def gitlab(doc):
    for job in doc.values():
        if isinstance(job, dict):
            for key in ("before_script", "script", "after_script"):
                if key in job:
                    yield "\n".join(job[key])


def main(out, paths):
    for path in paths:
        with open(path, encoding="utf-8") as f:
            text = f.read()
        doc = yaml.safe_load(text)
        blocks = github(path, doc, text) if "jobs" in doc or "runs" in doc else gitlab(doc)
        for n, block in enumerate(blocks):
            name = path.replace("/", "-") + f".{n}.sh"
            with open(os.path.join(out, name), "w", encoding="utf-8") as f:
                f.write(f"#!/bin/bash\n# shellcheck disable=SC2154 # {path}\n{block}\n")
    for fault in faults:
        print(fault, file=sys.stderr)
    return bool(faults)


sys.exit(main(sys.argv[1], sys.argv[2:]))
