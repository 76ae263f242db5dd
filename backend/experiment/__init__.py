"""Experiments: an annotator who is simulated compares strategies through the REST API.

plan         what a TOML file asks for
data         images with known truth, from a folder or painted
oracle       what the annotator paints, and what that costs
simulation   claiming, submitting and training as a person would
draws        tiles that the annotator chooses: start sets, comparators with true classes
scene        what all runs share
ground       the project of a run
run          one strategy with one seed, round by round
records      finished rounds on disk, whole or not there
experiment   all runs, several at once, on from where they were
statistics   pure: areas, intervals, tests
summary      what all records together mean
figures      pictures of that
report       a page of that
"""
