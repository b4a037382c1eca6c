"""Problems of the incident desk (RFC 9457), one class each. Pure."""

from kit.problems import Conflict, Forbidden, Invalid, NotFound


class AlertNotFound(NotFound):
    """No alert has this id."""

    slug, title = "alert-not-found", "Alert not found"


class IncidentNotFound(NotFound):
    """No incident has this id."""

    slug, title = "incident-not-found", "Incident not found"


class PartNotFound(NotFound):
    """The incident has no such task or containment."""

    slug, title = "part-not-found", "Not part of this incident"


class Stale(Conflict):
    """Somebody else changed the incident since it was read (optimistic concurrency)."""

    slug, title = "stale", "The incident has changed"


class MoveRefused(Conflict):
    """The state machine knows no such step."""

    slug, title = "move-refused", "This step is not possible now"


class OpenTasks(Conflict):
    """An incident is not closed over work that nobody has finished or dropped."""

    slug, title = "open-tasks", "Tasks are still open"


class AlreadyUndone(Conflict):
    """This containment was lifted before, or can't be lifted."""

    slug, title = "cannot-undo", "This can't be undone"


class CloseNeedsSummary(Invalid):
    """A closed incident must tell its story."""

    slug, title = "summary-needed", "A summary is needed"


class FieldInvalid(Invalid):
    """A value the desk does not know."""

    slug, title = "field-invalid", "A field is not valid"


class RoleNeeded(Forbidden):
    """The actor is on the desk, but this takes another role."""

    slug, title = "role-needed", "Another role is needed"


ALL = (
    AlertNotFound,
    IncidentNotFound,
    PartNotFound,
    Stale,
    MoveRefused,
    OpenTasks,
    AlreadyUndone,
    CloseNeedsSummary,
    FieldInvalid,
    RoleNeeded,
)
