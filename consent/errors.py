"""Problems of agreements, records and receipts (RFC 9457), one line each."""

from kit.problems import Conflict, Invalid, NotFound, Problem


class UnknownAgreement(NotFound):
    """No agreement has this id, or none that concerns the caller."""

    slug, title = "unknown-agreement", "There is no such agreement"


class UnknownConsent(NotFound):
    """No consent record has this id, or it is somebody else's."""

    slug, title = "unknown-consent", "There is no such consent"


class BadAgreement(Invalid):
    """A proposal breaks a rule; `errors` name the fields."""

    slug, title = "bad-agreement", "The agreement needs correction"


class AgreementState(Conflict):
    """The agreement or revision is not in a state that allows the step."""

    slug, title = "agreement-state", "The agreement's state does not allow this"


class ConsentState(Conflict):
    """The consent is not in a state that allows the step (withdrawn already, for example)."""

    slug, title = "consent-state", "The consent's state does not allow this"


class BadConsent(Invalid):
    """What is to be agreed to does not fit the agreement: a category, a duration, a language."""

    slug, title = "bad-consent", "This does not fit the agreement"


class UnknownInstruction(NotFound):
    """No standing instruction has this id, or it is somebody else's."""

    slug, title = "unknown-instruction", "There is no such standing instruction"


class BadInstruction(Invalid):
    """A standing instruction that says too little, or what nobody may say in advance."""

    slug, title = "bad-instruction", "The standing instruction needs correction"


class InstructionState(Conflict):
    """The standing instruction was stopped or ran out, or there are too many."""

    slug, title = "instruction-state", "The standing instruction does not allow this"


class ReceiptNotReady(Conflict):
    """The ledger has not laid the entry yet; it will within a second."""

    slug, title = "receipt-not-ready", "The receipt will be ready in a moment"


class UnknownEnding(NotFound):
    """No ended consent of the caller's member has this name."""

    slug, title = "unknown-ending", "There is no such ended consent"


class ConfirmedAlready(Conflict):
    """The end was confirmed by another statement before; the first one is kept."""

    slug, title = "confirmed-already", "This was confirmed before"


class BadStatement(Invalid):
    """The acknowledgement is not one: its signature, or something it says, does not hold."""

    slug, title = "bad-statement", "The acknowledgement does not hold"


class UnknownStream(NotFound):
    """The calling service follows no changes."""

    slug, title = "unknown-stream", "There is no stream"


class StreamIsPushed(Conflict):
    """The stream's changes are pushed; they are not to be polled, too."""

    slug, title = "stream-is-pushed", "This stream is pushed"


class HistoryNotKept(Problem):
    """A status list of the past was asked for."""

    slug, title, status = "history-not-kept", "Past lists are not kept", 501


class UnknownCampaign(NotFound):
    """Nobody is being asked again about this agreement."""

    slug, title = "unknown-campaign", "There is no such campaign"


class CampaignState(Conflict):
    """Asking again is not in a state that allows the step, or there is nothing to ask."""

    slug, title = "campaign-state", "The campaign's state does not allow this"


class BadCampaign(Invalid):
    """A plan for asking again breaks a rule: too short, too fast, too often."""

    slug, title = "bad-campaign", "The plan needs correction"


class BadImport(Invalid):
    """A file of another system's consents does not hold; `errors` name the fields. Nothing of it was taken in."""

    slug, title = "bad-import", "The consents of another system do not hold"


class BadHolderProof(Invalid):
    """A wallet's proof of its key does not hold."""

    slug, title = "bad-holder-proof", "The proof of the wallet's key does not hold"


ALL: tuple[type[Problem], ...] = (
    UnknownAgreement,
    UnknownConsent,
    BadAgreement,
    AgreementState,
    ConsentState,
    BadConsent,
    ReceiptNotReady,
    UnknownEnding,
    ConfirmedAlready,
    BadStatement,
    UnknownStream,
    StreamIsPushed,
    HistoryNotKept,
    UnknownCampaign,
    CampaignState,
    BadCampaign,
    BadHolderProof,
    BadImport,
    UnknownInstruction,
    BadInstruction,
    InstructionState,
)
