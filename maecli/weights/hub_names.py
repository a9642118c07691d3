"""Names of weights on the Hugging Face hub: `hf:OWNER/NAME`, and `timm:NAME` for what timm publishes there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from maecli.errors import SpecError
from maecli.text import brief

TIMM = "timm"
"""The owner of timm's models, whose names `timm:` leaves out."""
_NAME = re.compile(r"(hf|timm):([^@#]*)(?:@([^@#]+))?(?:#(.+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubName:
    """What `hf:OWNER/NAME@REVISION#ENCODER` names."""

    scheme: str
    name: str
    """As it was given: of `timm:` without the owner."""
    revision: str = ""
    choice: str = ""

    @property
    def repo(self) -> str:
        return f"{TIMM}/{self.name}" if self.scheme == TIMM else self.name

    @property
    def is_pinned(self) -> bool:
        """Whether it names a commit, which never changes."""
        return _COMMIT.fullmatch(self.revision) is not None

    def at(self, commit: str) -> HubName:
        return HubName(self.scheme, self.name, commit, self.choice)

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"{self.scheme}:{self.name}{at}{f'#{self.choice}' if self.choice else ''}"


def hub_name(text: object) -> HubName | None:
    """Return what a text names on the hub; None for what is no such name. Raises SpecError for one that cannot be."""
    found = _NAME.fullmatch(str(text))
    if found is None:
        return None
    scheme, name, revision, choice = found.groups(default="")
    made = HubName(scheme, name.strip("/"), revision, choice)
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", made.repo, re.ASCII):
        way = "timm:NAME, as in timm:vit_base_patch16_224.mae" if scheme == TIMM else "hf:OWNER/NAME"
        raise SpecError(f"{brief(str(text))} is no name of the hub; write {way}")
    return made
