"""OpenID Federation 1.0: cities and services that trust each other by way of a third party they both trust."""
