"""The script of a job, which runs one of its tasks."""

import shlex
from collections.abc import Sequence
from pathlib import Path

SCRIPT = "job.sh"


def script(words: Sequence[str], *, python: str, workdir: Path, folder: Path, shards: int, cpus: int) -> str:
    """Text of a shell script: ``sh job.sh TASK`` runs ``command``, ``shard-K`` or ``join`` and leaves its exit code.

    Without a task it is that of Slurm's array. It needs neither Slurm nor this package to be understood.
    """
    command = shlex.join(["qif2hw", *words])
    threads = " ".join(f"{name}={cpus}" for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"))
    shard_files = shlex.quote(str(folder / "shards"))
    return f"""\
#!/bin/sh
# Made by qif2hw submit. `sh {SCRIPT} TASK` runs a task, on any machine that sees these folders, with Slurm or without:
# {"shard-1 .. shard-" + str(shards) + ", and when all of them are there, join" if shards else "command"}.
# {command}
task=${{1-shard-$SLURM_ARRAY_TASK_ID}}
folder={shlex.quote(str(folder))}
echo "qif2hw submit: $task, Slurm job ${{SLURM_JOB_ID-none}} on $(uname -n), $(date -u +%Y-%m-%dT%H:%M:%SZ)"
cd {shlex.quote(str(workdir))} || exit 2
rm -f "$folder/$task.exit"
case $task in
shard-*) set -- --shards {shard_files} --shard "${{task#shard-}}/{shards}" ;;
join) set -- --shards {shard_files} ;;
*) set -- ;;
esac
export {threads}
{shlex.join([python, "-m", "qif2hw_cli", *words])} "$@"
code=$?
echo "$code" >"$folder/.$task.$$" && mv "$folder/.$task.$$" "$folder/$task.exit"
exit "$code"
"""
