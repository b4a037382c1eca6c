"""Purposes and lawful bases: a subset of the Data Privacy Vocabulary with words for residents.

DPV 2.3 (https://w3id.org/dpv): `dpv:Purpose` and `dpv:LegalBasis` terms. The code is the term, the IRI is DPV's own;
the Japanese and English labels are ours, written for residents. A test compares codes with DPV's files. Pure.
"""

from dataclasses import dataclass
from typing import Final

DPV: Final = "https://w3id.org/dpv#"


@dataclass(frozen=True, slots=True)
class Term:
    """A DPV term with a label in each language."""

    code: str
    ja: str
    en: str

    @property
    def iri(self) -> str:
        """The term's address."""
        return DPV + self.code

    def label(self, lang: str) -> str:
        """The words for a language."""
        return self.ja if lang == "ja" else self.en


_PURPOSES = (
    Term("RequestedServiceProvision", "あなたが頼んだサービスを提供するため", "To provide a service you asked for"),
    Term("ServiceProvision", "サービスを提供するため", "To provide a service"),
    Term("ServicePersonalisation", "サービスをあなたに合わせるため", "To fit a service to you"),
    Term("PersonalisedBenefits", "あなたに合った特典や支援を届けるため", "To offer you benefits that fit you"),
    Term("ServiceOptimisation", "サービスをより良くするため", "To make a service work better"),
    Term("ServiceUsageAnalytics", "サービスの使われ方を調べるため", "To study how a service is used"),
    Term(
        "ImproveExistingProductsAndServices", "今ある製品やサービスを改善するため", "To improve products and services"
    ),
    Term("ImproveHealthcare", "医療・健康サービスを良くするため", "To improve health care"),
    Term("ImprovePublicServices", "行政サービスを良くするため", "To improve public services"),
    Term("ImproveTransportMobility", "交通や移動を便利にするため", "To improve transport and mobility"),
    Term("CombatClimateChange", "気候変動への対策のため", "To act against climate change"),
    Term("PublicBenefit", "公共の利益のため", "For the public benefit"),
    Term("PublicPolicyMaking", "政策をつくるため", "To make public policy"),
    Term("ProvideOfficialStatistics", "公的な統計をつくるため", "To make official statistics"),
    Term("ProtectionOfPublicSecurity", "公共の安全を守るため", "To protect public safety"),
    Term("ScientificResearch", "科学研究のため", "For scientific research"),
    Term("AcademicResearch", "大学などの学術研究のため", "For academic research"),
    Term("NonCommercialResearch", "営利を目的としない研究のため", "For non-commercial research"),
    Term("CommercialResearch", "企業の研究開発のため", "For commercial research"),
    Term("DataAltruism", "社会のためにデータを役立てるため", "To give data for the good of society"),
    Term("IdentityVerification", "本人かどうかを確かめるため", "To check who you are"),
    Term("AgeVerification", "年齢を確かめるため", "To check your age"),
    Term(
        "ServiceAccessDetermination",
        "サービスを使えるかどうかを判断するため",
        "To decide whether you may use a service",
    ),
    Term("PaymentManagement", "支払いを扱うため", "To handle payments"),
    Term("RightsFulfilment", "あなたの権利を実現するため", "To fulfil your rights"),
    Term("LegalCompliance", "法律の義務を果たすため", "To comply with the law"),
    Term("CustomerCare", "お問い合わせや相談に応じるため", "To answer and help you"),
    Term("ProvidePersonalisedRecommendations", "あなたに合った情報をすすめるため", "To recommend what may suit you"),
    Term("ProvideEventRecommendations", "催しを案内するため", "To tell you about events"),
    Term("DirectMarketing", "あなたに直接、宣伝を届けるため", "To send you advertising"),
    Term("PersonalisedAdvertising", "あなたに合わせた広告を見せるため", "To show you advertising chosen for you"),
)

_LAWFUL_BASES = (
    Term("Consent", "あなたの同意", "Your consent"),
    Term("ContractPerformance", "あなたとの契約を果たすため", "To perform a contract with you"),
    Term("LegalObligation", "法律上の義務", "A legal obligation"),
    Term("PublicInterest", "公共の利益", "A task in the public interest"),
    Term("VitalInterest", "命や体を守るため", "To protect somebody's life"),
    Term("LegitimateInterest", "正当な利益", "A legitimate interest"),
)


@dataclass(frozen=True, slots=True)
class Group:
    """Purposes that belong together for a reader, so that nobody has to read thirty in one list."""

    id: str
    ja: str
    en: str
    codes: tuple[str, ...]

    def label(self, lang: str) -> str:
        """The words for a language."""
        return self.ja if lang == "ja" else self.en


# By where DPV has them below `dpv:Purpose` where that is also how people think, and by what people look for elsewhere.
GROUPS: Final = (
    Group(
        "service",
        "使うサービスのために",
        "For services you use",
        (
            "RequestedServiceProvision", "ServiceProvision", "ServicePersonalisation", "PersonalisedBenefits",
            "CustomerCare", "PaymentManagement",
        ),
    ),
    Group(
        "checks",
        "確認や手続きのために",
        "For checks and procedures",
        (
            "IdentityVerification", "AgeVerification", "ServiceAccessDetermination", "RightsFulfilment",
            "LegalCompliance",
        ),
    ),
    Group(
        "public",
        "まちとくらしのために",
        "For the city and everybody in it",
        (
            "ImproveHealthcare", "ImprovePublicServices", "ImproveTransportMobility", "CombatClimateChange",
            "PublicBenefit", "PublicPolicyMaking", "ProvideOfficialStatistics", "ProtectionOfPublicSecurity",
            "DataAltruism",
        ),
    ),
    Group(
        "research",
        "研究のために",
        "For research",
        ("ScientificResearch", "AcademicResearch", "NonCommercialResearch", "CommercialResearch"),
    ),
    Group(
        "improve",
        "サービスや製品を良くするために",
        "To make services and products better",
        ("ServiceOptimisation", "ServiceUsageAnalytics", "ImproveExistingProductsAndServices"),
    ),
    Group(
        "adverts",
        "おすすめや宣伝のために",
        "For recommendations and advertising",
        (
            "ProvidePersonalisedRecommendations", "ProvideEventRecommendations", "DirectMarketing",
            "PersonalisedAdvertising",
        ),
    ),
)  # fmt: skip

PURPOSES: Final = {term.code: term for term in _PURPOSES}
LAWFUL_BASES: Final = {term.code: term for term in _LAWFUL_BASES}
