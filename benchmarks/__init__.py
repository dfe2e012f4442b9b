"""Measurements beside peers, and what each model needs."""
