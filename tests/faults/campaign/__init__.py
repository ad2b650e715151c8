"""A fault campaign: a deployed model under traffic, to which one thing after another happens.

The faults stand in kills.py, storage.py, tampering.py, configuration.py, network.py and two_at_once.py. They happen in
a scene (scene.py), and judging.py says whether it survived. `make faults` runs them all.
"""
