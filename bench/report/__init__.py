"""Reports, made from records: terminal tables and JUnit files.

The package judges nothing and measures nothing.
"""
