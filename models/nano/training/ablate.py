"""What traces and drawn marks add to actions: short trainings that differ in nothing else, each driven in closed loop over the
same episodes. One command, which goes on where it was interrupted.

  npm run build
  python models/nano/training/ablate.py --data out/nano/demos --out out/nano/ablation --steps 700 --seeds 5 --episodes 100

Arms, all on the put and push instructions of the data:
  actions           every picture is asked for actions alone
  traces            a share of the pictures is asked for traces instead; the points are named by their places in the question
  marks and traces  the same, and the points are marked in the picture: Magma's Set-of-Mark and Trace-of-Mark

Every arm gets the same number of pictures (--steps), or of minutes of processor time (--minutes): what is asked for traces is
not asked for actions. Training s of every arm begins with the same weights. At inference all arms see the plain picture: marks
are part of the question about traces, in the node as in Magma, and nobody marks the picture that an action is asked for.

<out>/runs.jsonl holds every finished run, <out>/table.txt and <out>/table.json what they come to; an interrupted run begins
again. What follows -- goes to train.py. Intervals are of 95 %: Student's t over the differences of paired seeds (episodes
common and fixed), and beside it a bootstrap that draws seeds and episodes anew (Owen 2007, "The pigeonhole bootstrap"). They are
not corrected for being three.
"""

import argparse
import hashlib
import itertools
import json
import math
import os
import shlex
import shutil
import subprocess
import sys
import time

import numpy as np

from model_folder import copy_model

FAMILIES = "put,push"
ONLY = "^(put|push) "  # their sentences in the core suite
ARMS = ("actions", "traces", "marks and traces")
# 97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom
T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093)
DRAWS = 10_000
HERE = os.path.dirname(os.path.abspath(__file__))


def parse(argv):
    own, passed = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", nargs="+", required=True, help="folders written by simulate --training-set")
    p.add_argument("--out", required=True)
    p.add_argument("--model", default=os.path.join(HERE, ".."), help="folder with config.json, tokenizer.json, model.json")
    length = p.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int, help="of every training: choose what leaves success between 20 and 90 %%")
    length.add_argument("--minutes", type=float, help="of processor time of every training")
    p.add_argument("--seeds", type=int, default=5, help="trainings per arm")
    p.add_argument("--trace-share", type=float, default=0.25, help="share of the steps that ask for traces, in the arms that do")
    p.add_argument("--episodes", type=int, default=100)
    p.add_argument("--evaluation-seed", type=int, default=910, help="of the scenes that are driven; never one that was trained on")
    p.add_argument("--jobs", type=int, default=1, help="processes that drive")
    p.add_argument("--magma-vla", default="node dist/main.js", help="how the simulation is called")
    a = p.parse_args(own)
    if a.seeds < 2:
        p.error("--seeds: expected 2 or more, for a difference has an interval only then")
    a.passed = passed
    return a


def options(arm, a):
    if arm == "actions":
        return ["--trace-share", "0"]
    return ["--trace-share", str(a.trace_share), "--trace-pictures", "plain" if arm == "traces" else "marked"]


# -- Runs ------------------------------------------------------------------------------------------------------------


def identity(a):
    """What a run's result depends on, beside its arm and seed: runs that agree in it go into one table."""
    said = {k: getattr(a, k) for k in ("steps", "minutes", "trace_share", "episodes", "evaluation_seed", "passed")}
    files = {"data": [f"{folder}/labels.jsonl" for folder in a.data], "model": [f"{a.model}/model.json"]}
    files["training"] = [f"{HERE}/{name}.py" for name in ("train", "data", "traces", "model")]
    return {**said, **{of: [digest(path) for path in paths] for of, paths in files.items()}}


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]


def finished(path, wanted):
    """Runs of the file by arm and seed; begins it where there is none. A last line that was cut off is dropped."""
    if not os.path.exists(path):
        write_lines(path, [wanted])
    first, *runs = [json.loads(line) for line in open(path).read().split("\n")[:-1]]
    if first != wanted:
        names = [name for name in wanted if first.get(name) != wanted[name]]
        show = lambda of: ", ".join(f"{name} {of.get(name)}" for name in names)
        raise SystemExit(f"{path}: runs with {show(first)}, expected {show(wanted)}; another --out begins anew")
    write_lines(path, [first, *runs])
    return {(run["arm"], run["seed"]): run for run in runs}


def write_lines(path, lines):
    with open(f"{path}.new", "w") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    os.replace(f"{path}.new", path)


def train(arm, seed, a, folder):
    """-> what train.py said last; its weights and the small files of the model in <folder>/model."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    length = ["--steps", str(a.steps)] if a.steps is not None else ["--minutes", str(a.minutes)]
    command = [sys.executable, f"{HERE}/train.py", "--data", *a.data, "--model", a.model, "--out", folder, "--seed", str(seed)]
    command += [*length, "--only", ONLY, "--every", "0", *options(arm, a), *a.passed]
    said = last_json(command, f"{folder}/train.log")
    copy_model(a.model, folder, f"{folder}/model")
    return said


def drive(a, folder):
    command = [*shlex.split(a.magma_vla), "simulate", "--model", f"{folder}/model", "--families", FAMILIES]
    command += ["--episodes", str(a.episodes), "--seed", str(a.evaluation_seed)]
    command += ["--traces", "0", "--jobs", str(a.jobs), "--json", "--quiet"]
    return last_json(command, f"{folder}/simulate.log")


def last_json(command, log):
    """Runs a command; the last line of what it said, as JSON. Everything it said is in the log."""
    with open(log, "w") as file:
        file.write(f"{shlex.join(command)}\n")
        file.flush()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=file, text=True)
        file.write(done.stdout)
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(command)}: exit code {done.returncode}; see {log}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def run(arm, seed, a):
    folder = f"{a.out}/{arm.replace(' ', '-')}-{seed}"
    started = time.time()
    said = train(arm, seed, a, folder)
    trained = time.time()
    driven = drive(a, folder)
    shutil.rmtree(f"{folder}/model")
    os.remove(f"{folder}/state.pt")
    if driven["success"]["episodes"] != a.episodes or "failed" not in driven:
        raise SystemExit(f"{folder}/simulate.log: no outcome per episode, expected one of each of {a.episodes}; npm run build?")
    return {
        **{"arm": arm, "seed": seed, "steps": said["done"], "pictures": said["seen"], "asked_for_traces": said["traces"]},
        **{"processor_s": said["s"], "training_s": round(trained - started, 1), "driving_s": round(time.time() - trained, 1)},
        **{"success": driven["success"]["rate"], "by_family": {k: v["rate"] for k, v in driven["success"]["byFamily"].items()}},
        **{"causes": driven["causes"], "failed": driven["failed"], "predictions": driven["predictionsSha256"]},
    }


# -- Comparison ------------------------------------------------------------------------------------------------------


def outcomes(runs, arm, seeds, episodes):
    """-> [seeds, episodes], 1 where the task was done."""
    out = np.ones((len(seeds), episodes))
    for s, seed in enumerate(seeds):
        out[s, runs[arm, seed]["failed"]] = 0
    return out


def t_interval(values):
    """Mean of a few independent values and the half-width of its 95 % interval."""
    n = len(values)
    quantile = T[n - 2] if n - 2 < len(T) else 1.96 + 2.4 / (n - 1)
    return float(np.mean(values)), float(quantile * np.std(values, ddof=1) / math.sqrt(n))


def bootstrap(difference, rng):
    """Of the mean of [seeds, episodes], both drawn anew with replacement, crossed: every drawn seed meets every drawn episode."""
    s, e = difference.shape
    by_seed = rng.multinomial(s, [1 / s] * s, DRAWS) / s
    by_episode = rng.multinomial(e, [1 / e] * e, DRAWS) / e
    means = np.einsum("ds,se,de->d", by_seed, difference, by_episode, optimize=True)
    return [float(q) for q in np.quantile(means, [0.025, 0.975])]


def compare(runs, episodes):
    """Over the seeds that every arm has finished; None where those are fewer than two."""
    seeds = [seed for seed in sorted({seed for _, seed in runs}) if all((arm, seed) in runs for arm in ARMS)]
    if len(seeds) < 2:
        return None
    done = {arm: outcomes(runs, arm, seeds, episodes) for arm in ARMS}
    rng = np.random.default_rng(0)
    arms, differences = [], []
    for arm in ARMS:
        mean, half = t_interval(done[arm].mean(1))
        of = [runs[arm, seed] for seed in seeds]
        row = {"arm": arm, "success": mean, "t": [mean - half, mean + half], "by_seed": done[arm].mean(1).tolist()}
        row["by_family"] = {name: float(np.mean([r["by_family"][name] for r in of])) for name in of[0]["by_family"]}
        row |= {name: float(np.mean([r[name] for r in of])) for name in ("pictures", "asked_for_traces", "processor_s")}
        arms.append(row)
    for a, b in itertools.combinations(ARMS, 2):
        difference = done[b] - done[a]
        mean, half = t_interval(difference.mean(1))
        row = {"of": b, "over": a, "difference": mean, "t": [mean - half, mean + half], "bootstrap": bootstrap(difference, rng)}
        differences.append({**row, "by_seed": difference.mean(1).tolist(), "detectable": half})
    return {"seeds": seeds, "episodes": episodes, "arms": arms, "differences": differences}


def text(table):
    percent, signed = lambda x: f"{100 * x:5.1f} %", lambda x: f"{100 * x:+5.1f}"
    families = list(table["arms"][0]["by_family"])
    n = len(table["seeds"])
    lines = [f"{n} trainings per arm, {table['episodes']} common episodes each", ""]
    lines.append(f"{'arm':18} {'success':>8}  95 % (t, {n} seeds)  " + "  ".join(f"{f:>7}" for f in families) + "   pictures, of which traces   processor s")
    for r in table["arms"]:
        low, high = np.clip(r["t"], 0, 1)
        by = "  ".join(percent(r["by_family"][f]) for f in families)
        lines.append(f"{r['arm']:18} {percent(r['success']):>8}  {percent(low)} …{percent(high)}  {by}   {r['pictures']:8.0f} {r['asked_for_traces']:17.0f} {r['processor_s']:13.0f}")
    lines += ["", f"{'difference, points':38} {'mean':>6}   95 % (t, paired seeds)   95 % (bootstrap, seeds and episodes)"]
    for r in table["differences"]:
        name = f"{r['of']} − {r['over']}"
        lines.append(f"{name:38} {signed(r['difference']):>6}   {signed(r['t'][0])} … {signed(r['t'][1])}          {signed(r['bootstrap'][0])} … {signed(r['bootstrap'][1])}")
        lines.append(f"{'  by seed':38} " + " ".join(signed(x) for x in r["by_seed"]))
    lines.append("")
    for r in table["differences"]:
        told = r["t"][0] > 0 or r["t"][1] < 0
        verdict = "more" if r["difference"] > 0 else "less"
        if told:
            found = f"{verdict} than {r['over']}, by the t interval"
        elif r["detectable"] > 0:
            found = f"no effect detectable beside {r['over']}: with this spread it would have taken {100 * r['detectable']:.0f} points"
        else:
            found = f"as {r['over']} in every training"
        lines.append(f"{r['of']}: {found}")
    lines += [f"warning: {r['arm']} is at {percent(r['success']).strip()}, outside 20 … 90 %: a floor or ceiling hides differences" for r in table["arms"] if not 0.2 <= r["success"] <= 0.9]
    return "\n".join(lines)


def main():
    a = parse(sys.argv[1:])
    os.makedirs(a.out, exist_ok=True)
    path = f"{a.out}/runs.jsonl"
    runs = finished(path, identity(a))
    for seed, arm in itertools.product(range(a.seeds), ARMS):
        if (arm, seed) not in runs:
            runs[arm, seed] = run(arm, seed, a)
            with open(path, "a") as file:
                file.write(json.dumps(runs[arm, seed]) + "\n")
        r = runs[arm, seed]
        print(f"seed {seed} {arm:18} {100 * r['success']:5.1f} %  {r['steps']} steps, {r['processor_s']:.0f} s trained, {r['driving_s']:.0f} s driven", flush=True)
    table = {"identity": identity(a), **compare({key: r for key, r in runs.items() if key[1] < a.seeds}, a.episodes)}
    with open(f"{a.out}/table.json", "w") as file:
        json.dump(table, file, indent=2)
    with open(f"{a.out}/table.txt", "w") as file:
        file.write(text(table) + "\n")
    print(f"\n{text(table)}\n{json.dumps(table)}")


if __name__ == "__main__":
    main()
