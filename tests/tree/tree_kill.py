# SPDX-License-Identifier: ISC
"""A driver for tests/tree/e2e_tree: starts many clients, 16 at a time, kills some of them at any moment of their
lives, and tells how the others fared.

    tree_kill.py URL RUNS KILLS CLOSE_FDS TREECLIENT

Half of the clients are `curl -0`, the others treeclient.  Every answer is another: what is somebody
else's is found out.  Prints JSON.
"""

import concurrent.futures
import json
import random
import subprocess
import sys
import threading
import time
import urllib.request

AT_A_TIME, SEEDS = 16, 40


def size_of(seed):
    return 100 + seed * 977 % 60000


class Driver:
    def __init__(self, url, runs, kills, close_fds, client):
        self.url, self.runs, self.close_fds, self.client = url, runs, close_fds, client
        self.kills, self.random, self.lock = kills, random.Random(runs), threading.Lock()
        self.usual = 0.005      # seconds within which most clients live on after their start was reported
        self.good = self.killed = 0
        self.failed, self.wrong = [], []
        self.expected = [urllib.request.urlopen(self.target(seed), timeout=30).read() for seed in range(SEEDS)]

    def target(self, seed):
        return f"{self.url}bytes/{size_of(seed)}?seed={seed}"

    def words(self, i):
        target = self.target(i % SEEDS)
        if i % 2:
            return [self.client, "get", target.removeprefix("http://")]
        return ["curl", "-0", "-sS", "--max-time", "60", target]

    def one(self, i):
        with self.lock:
            doomed = self.killed < self.kills * (i + 1) / self.runs
            wait = self.random.uniform(0, self.usual)
        with subprocess.Popen(self.words(i), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, close_fds=self.close_fds) as child:
            if doomed:
                time.sleep(wait)
                child.kill()
            out, err = child.communicate(timeout=120)
        with self.lock:
            if doomed:      # so that seven of ten are met alive
                self.usual *= 1.02 if child.returncode == -9 else 0.95
            self.judge(i, doomed, child.returncode, out, err)

    def judge(self, i, doomed, status, out, err):
        if doomed and status == -9:
            self.killed += 1
        elif status != 0:
            self.failed.append([self.words(i), status, err.decode("latin-1")[-200:]])
        elif out != self.expected[i % SEEDS]:
            self.wrong.append([self.words(i), len(out)])
        else:
            self.good += 1

    def run(self):
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(self.one, range(self.runs)))
        print(json.dumps({"good": self.good, "killed": self.killed, "failed": self.failed,
                          "wrong": self.wrong}))


if __name__ == "__main__":
    Driver(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1", sys.argv[5]).run()
