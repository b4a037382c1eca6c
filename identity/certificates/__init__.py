"""Certificates of people and services: whose authority gave them out, and whether it still stands by them."""
