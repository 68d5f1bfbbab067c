"""A Corstone-300 in software: Unicorn for the processor, the simulator behind the NPU's registers.

On it, the firmware and the adapters for Arm's FVP and the MPS3 board run for real where neither is
available. `python -m targets.virtual` has the FVP's command line.
"""
