"""Django's PostgreSQL backend, with Khata's server, roles and scope.

settings.DATABASES["default"]["KHATA"] holds: role (owner, app or run), url (a server of somebody's, or empty),
var (where Khata keeps its own server when there is no url) and durable.
"""

from typing import Any

from django.db.backends.postgresql import base
from psycopg.conninfo import conninfo_to_dict

from khata.discoms import scope
from khata.site.database import server

# Roles that row-level security does not touch: without a scope they need not be told so.
PAST_ROW_SECURITY = {"owner", "run"}

# What roles.sql sets for logins as khata_run. A role that is taken after login brings no settings with it.
SETTINGS_OF_TAKEN_ROLE = {"run": " -c random_page_cost=1.1 -c work_mem=64MB"}


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        """Asked just before connecting, so a command that reads nothing starts no server."""
        params = super().get_connection_params()
        khata = self.settings_dict["KHATA"]
        role = khata["role"]
        if not khata["url"]:
            return {**params, **server.ensure(khata["var"], durable=khata["durable"]), "user": f"khata_{role}"}
        params = {**conninfo_to_dict(khata["url"]), **params}
        # As connection option, unlike SET ROLE, the role is also what RESET ROLE and DISCARD ALL go back to.
        options = f"-c role=khata_{role}{SETTINGS_OF_TAKEN_ROLE.get(role, '')}"
        params["options"] = f"{params.get('options', '')} {options}".strip()
        return params

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)  # type: ignore[misc]  # the stubs leave it out
        if autocommit:
            return
        current = scope.current()
        if current == scope.NOBODY and self.settings_dict["KHATA"]["role"] in PAST_ROW_SECURITY:
            return
        with self.wrap_database_errors:
            self.connection.execute(scope.SET_SCOPE, scope.as_settings(current))
