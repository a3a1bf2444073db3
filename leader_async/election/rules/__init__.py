"""The rules of an election, pure: no I/O, no clock, no chance. Time is an argument, and effects are values.

Order comes from the queue (`place`), safety from the record (`lead`, `handover`); `candidacy` decides what to do next,
and lists the numbered rules, each with the module in which it stands. "Broken by" names what breaks a rule on purpose:
mutants (`make mutants`), each of which a test must notice.
"""
