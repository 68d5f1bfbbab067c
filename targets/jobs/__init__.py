"""What is said to the firmware and what it says.

`device_job` describes a job, `image` turns jobs into the bytes that are loaded, `frames` reads the
lines of the answer, `answers` puts them together; `pmu` has the events, `memory` the addresses.
Nothing is imported here, so that who needs an address does not pay for pydantic.
"""
