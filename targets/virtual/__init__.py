"""A Corstone-300 in software: Unicorn for the processor, the simulator behind the NPU's registers.

It exists so that the firmware and the adapters for Arm's FVP and the MPS3 board are run for real
where neither is at hand. `python -m targets.virtual` has the FVP's command line.
"""
