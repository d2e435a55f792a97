"""Django's PostgreSQL backend, with Khata's server, roles and scope.

settings.DATABASES["default"]["KHATA"] holds: role (owner, app or run), url (a server of somebody's, or empty),
var (where Khata keeps its own server when there is no url) and durable.
"""

from typing import Any

import psycopg
from django.db.backends.postgresql import base
from django.db.utils import OperationalError
from psycopg.conninfo import conninfo_to_dict

from khata.discoms import scope
from khata.site.database import server

# Roles that row-level security does not touch: without a scope they need not be told so.
PAST_ROW_SECURITY = {"owner", "run"}

# What roles.sql sets for logins as khata_run. A role that is taken after login brings no settings with it.
SETTINGS_OF_TAKEN_ROLE = {"run": " -c random_page_cost=0.5 -c max_parallel_workers_per_gather=0 -c work_mem=64MB"}


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        """Asked just before connecting, so a command that reads nothing starts no server."""
        params = super().get_connection_params()
        khata = self.settings_dict["KHATA"]
        role = khata["role"]
        if not khata["url"]:
            try:
                found = server.ensure(khata["var"], durable=khata["durable"])
            except server.ServerError as error:
                # As Django calls it: whoever is above need not know whose server it is.
                raise OperationalError(str(error)) from error
            return {**params, **found, "user": f"khata_{role}"}
        params = {**conninfo_to_dict(khata["url"]), **params}
        # As connection option, unlike SET ROLE, the role is also what RESET ROLE and DISCARD ALL go back to.
        options = f"-c role=khata_{role}{SETTINGS_OF_TAKEN_ROLE.get(role, '')}"
        params["options"] = f"{params.get('options', '')} {options}".strip()
        return params

    def make_demo_afresh(self) -> str:
        """Makes an empty database for the demo in place of the former one, and works on it from now on; its name.

        Here, because the command line stands below this package and reaches it only as Django's database backend.
        """
        self.close()
        khata = self.settings_dict["KHATA"]
        try:
            if khata["url"]:
                url = {name: str(value) for name, value in conninfo_to_dict(khata["url"]).items()}
                server.make_demo_afresh(url, user=None)
            else:
                server.make_demo_afresh(server.ensure(khata["var"], durable=khata["durable"]), user=server.ADMIN)
        except psycopg.Error as refused:
            raise server.ServerError(
                f"The server does not let us make the database {server.DEMO_DATABASE} afresh: {refused}".rstrip()
            ) from refused
        self.settings_dict["NAME"] = server.DEMO_DATABASE
        return server.DEMO_DATABASE

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)  # type: ignore[misc]  # the stubs leave it out
        if autocommit:
            return
        current = scope.current()
        if current == scope.NOBODY and self.settings_dict["KHATA"]["role"] in PAST_ROW_SECURITY:
            return
        with self.wrap_database_errors:
            self.connection.execute(scope.SET_SCOPE, scope.as_settings(current))
