"""What operations move over the AXI ports."""
