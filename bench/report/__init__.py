"""Reports, made from records: terminal tables, JUnit files and pages.

The package judges nothing and measures nothing.
"""
