"""The rules of hardening, asked of the file and of what runs: one reader for each, one set of rules for both.

``posture`` what a rule looks at  |  ``planned``, ``live`` its readers  |  ``rules`` what a rule is
``privileges``, ``limits``, ``exposure`` the rules  |  ``check`` all of them on a stack, with its waivers
"""
