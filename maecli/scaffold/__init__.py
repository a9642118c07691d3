"""A complete package to begin a plugin with: `mae plugins new`."""

from maecli.scaffold.names import Plan, plan_package
from maecli.scaffold.package import write_package

__all__ = ["Plan", "plan_package", "write_package"]
