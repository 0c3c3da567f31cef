"""The ledger where the registry is a server: with the registry, so that every machine reads and extends the same one."""

from components.errors import ServiceError
from pipelines.ledger import Ledger
from pipelines.shared_log import EXPERIMENT, SharedLog
from pipelines.tracking.store import Store

NAME = "ledger"


class ServerLedger(Ledger):
    """Entries are the params of run `ledger` of the experiment `promotions`: of two promoters, one gets the next number."""

    def __init__(self, store: Store) -> None:
        self._log = SharedLog(store, NAME)

    def __repr__(self) -> str:
        return f"ServerLedger(run {NAME} of experiment {EXPERIMENT})"

    def _lines(self) -> list[str]:
        return list(self._log.read()[0].values())

    def _write(self, number: int, line: str) -> None:
        if not self._log.write(number, line):
            raise ServiceError(f"another promoter wrote entry {number} of the ledger first: this one has lost its turn")


def ledger_of(store: Store) -> Ledger:
    """The ledger of a registry: a file beside an SQLite database, otherwise on the server."""
    database = store.database
    return ServerLedger(store) if database is None else Ledger(database.with_name("ledger.jsonl"))
