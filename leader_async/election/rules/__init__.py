"""The rules of an election, pure: no I/O, no clock, no chance. Time is an argument, and effects are values.

Order comes from the queue (`place`), safety from the record (`lead`); `candidacy` decides what to do next.
"""
