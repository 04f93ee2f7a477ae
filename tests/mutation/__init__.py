"""Mutation testing: do the tests notice when the rules change?"""
