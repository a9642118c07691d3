"""How plugins are found, switched, loaded, named and refused.

Names come from the entry points of the installed packages, so looking up, listing and finding clashes import
nothing. A module is imported by itself, when one of its things is used.
"""

from maecli.registry.discovery import GROUP, KINDS, OWN_PACKAGE, Kind, Listing
from maecli.registry.lookup import Registry, registry

__all__ = ["GROUP", "KINDS", "OWN_PACKAGE", "Kind", "Listing", "Registry", "registry"]
