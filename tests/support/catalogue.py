"""What stands for the catalogue where a test is about something else: it knows no category, and so allows each."""

from consent.sensitivities import Sensitivities

ANY = Sensitivities()
