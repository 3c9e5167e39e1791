"""What goes wrong on the wire: every row of the catalogue as data, which the simulator plays.

`catalogue` has the rows, and is imported by whoever wants them: to make them takes a moment.
"""
