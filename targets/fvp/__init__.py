"""Arm's Corstone-300 FVP as a target: how it is found, started and watched, and its answers.

Any program with the FVP's command line will do: Arm's executable, the same in a container, or the
project's own virtual platform. `launch` is the port through which processes are started.
"""
