"""A contestant whose steps take as many milliseconds as it is told: what the test of the turns lets race."""

import os
import sys
import time

from bench.contestant import Turns, repeat

if __name__ == "__main__":
    milliseconds, replies = sys.argv[1:]
    repeat(lambda: time.sleep(float(milliseconds) / 1000), Turns(sys.stdin, os.fdopen(int(replies), "w")).stepped)
