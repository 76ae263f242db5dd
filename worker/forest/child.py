"""The forest's child process: learns from tiles, sweeps images."""

from worker.forest.sweep import load, predict
from worker.forest.training import train
from worker.serving import serve

if __name__ == "__main__":
    serve({"train": train, "predict": predict, "load": load})
