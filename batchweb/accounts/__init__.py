"""Signing in: limits on guessing, second factors, a company's own sign-in, sessions, and the record of all of it."""
