"""Imports every table of the house, so that the one MetaData is whole. For migrations and their tests."""

import cert.models
import consent.models
import identity.assurance.models
import identity.certificates.models
import identity.federation.models
import identity.models
import identity.models_account
import identity.upstream.models
import infobank.models
import keys.models
import kit.audit
import kit.db.tables
import kit.outbox
import kit.tlog.log
import portal.jobs

__all__ = ["cert", "consent", "identity", "infobank", "keys", "kit", "portal"]
