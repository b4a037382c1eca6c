"""The federation as the operator writes it down: who is trusted, who stands above, who may register."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from identity.federation.entities import is_entity_id

Scope = Literal["openid", "profile", "email", "address", "phone", "offline_access"]


class AnchorSettings(BaseModel):
    """A trust anchor. Its keys come from its operator by another way than its own address (section 11.3)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entity_id: str
    jwks: dict[str, Any]

    @model_validator(mode="after")
    def _whole(self) -> "AnchorSettings":
        if not is_entity_id(self.entity_id):
            raise ValueError(f"{self.entity_id} is not an entity identifier")
        if not isinstance(self.jwks.get("keys"), list) or not self.jwks["keys"]:
            raise ValueError(f"trust anchor {self.entity_id}: jwks has no keys")
        return self


class MarkOwner(BaseModel):
    """Who owns a type of trust mark that others issue (section 7.2)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sub: str
    jwks: dict[str, Any]


class FederationSettings(BaseModel):
    """OpenID Federation. Off until the operator says who is trusted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: bool = Field(False, description="Whether this city takes part in a federation (OpenID Federation 1.0)")
    authority_hints: tuple[str, ...] = Field((), description="Who stands directly above this city, by entity id")
    trust_anchors: tuple[AnchorSettings, ...] = Field(
        (), description="Trust anchors that are believed, as a JSON list of `entity_id` and `jwks`"
    )
    subordinates: bool = Field(False, description="Whether this city vouches for others: fetch, list, trust marks")
    own_anchor: bool = Field(
        False, description="Whether this city is a trust anchor to itself: services below it may register"
    )
    registration: tuple[Literal["automatic", "explicit"], ...] = Field(
        ("automatic", "explicit"), description="How services of the federation may become clients"
    )
    scopes: tuple[Scope, ...] = Field(
        ("openid", "profile", "email"), description="What such services may ask for; never data, which needs a member"
    )
    organization_name: str = Field("", max_length=120, description="The city's name, as other members see it")
    contacts: tuple[str, ...] = Field((), max_length=10, description="Addresses for other members' operators")
    statement_seconds: int = Field(86_400, ge=300, le=30 * 86_400, description="How long our statements are good")
    chain_seconds: int = Field(
        3600, ge=60, le=86_400, description="How long a chain that held is believed before it is fetched anew, at most"
    )
    required_marks: tuple[str, ...] = Field((), description="Trust marks a service must have to register, all of them")
    marks: tuple[str, ...] = Field((), description="Trust marks given to this city, as JWTs")
    mark_issuers: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Who may issue which trust mark in this city's federation, by type"
    )
    mark_owners: dict[str, MarkOwner] = Field(
        default_factory=dict, description="Owners of trust marks that others issue, by type, with `sub` and `jwks`"
    )
    mark_delegations: dict[str, str] = Field(
        default_factory=dict, description="Leave to issue trust marks that others own: type to delegation JWT"
    )

    @field_validator("authority_hints")
    @classmethod
    def _entities(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not is_entity_id(one):
                raise ValueError(f"{one} is not an entity identifier")
        return value

    @model_validator(mode="after")
    def _sensible(self) -> "FederationSettings":
        if self.own_anchor and not self.subordinates:
            raise ValueError("own_anchor needs subordinates: nobody stands below a city that vouches for nobody")
        if len({anchor.entity_id for anchor in self.trust_anchors}) != len(self.trust_anchors):
            raise ValueError("a trust anchor is named twice")
        return self

    @property
    def anchors(self) -> dict[str, dict[str, Any]]:
        """Keys by trust anchor."""
        return {anchor.entity_id: anchor.jwks for anchor in self.trust_anchors}
