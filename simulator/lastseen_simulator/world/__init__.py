"""The world in a box: real sessions, real gateway cores, one thread, one seed, virtual time.

`draw` makes a plan from a seed, `world` plays a plan and judges every step, `sweep` plays many, and
`shrink` finds the smallest plan that still fails.
"""
