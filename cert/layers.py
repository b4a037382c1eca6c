"""The nine layers of the smart-city reference architecture (Cabinet Office, Smart City Reference Architecture
White Paper, chapter 3). Pure.

Eight layers lie on each other; the ninth, security and authentication, stands beside them all. An incident is
tagged with every layer it touches, so that the desk asks the right people and forgets none.
"""

from dataclasses import dataclass

from cert.words import Words


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer by number (1 at the top), its name, and whom the desk calls when it is touched."""

    number: int
    name: Words
    asks: Words


LAYERS: tuple[Layer, ...] = (
    Layer(
        1,
        Words("戦略・政策", "Strategy and policy"),
        Words("市長室・最高情報セキュリティ責任者", "Mayor's office, CISO"),
    ),
    Layer(2, Words("ルール", "Rules"), Words("法務・個人情報保護担当", "Legal, privacy officer")),
    Layer(3, Words("推進組織", "Organisation"), Words("情報政策課", "Digital policy office")),
    Layer(4, Words("ビジネス", "Business"), Words("参加事業者の窓口", "Member's contact point")),
    Layer(5, Words("機能（サービス）", "Functions and services"), Words("サービス担当者", "Service owner")),
    Layer(6, Words("データ", "Data"), Words("データ管理者", "Data steward")),
    Layer(7, Words("データ連携", "Data federation"), Words("連携基盤の運用者", "Exchange operator")),
    Layer(8, Words("アセット", "Assets"), Words("設備・機器の管理者", "Equipment keeper")),
    Layer(
        9, Words("セキュリティ・認証", "Security and authentication"), Words("認証基盤の運用者", "Identity operator")
    ),
)

NUMBERS = frozenset(layer.number for layer in LAYERS)


def layer(number: int) -> Layer:
    """The layer with this number; raises KeyError for any but 1 to 9."""
    if number not in NUMBERS:
        raise KeyError(number)
    return LAYERS[number - 1]
