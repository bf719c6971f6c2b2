"""A trained network in forms that others read.

A form makes its files in an empty folder and says what it made. Each holds what it has written
against the network itself, so that nothing is published that says something else.
"""
