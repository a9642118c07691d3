"""The kinds of samples that come with mae."""

from __future__ import annotations

from maecli import api


@api.hookimpl
def mae_modalities() -> list[type[api.Modality]]:
    return [api.modalities.Pictures, api.modalities.Series, api.modalities.Tables, api.modalities.Volumes]
