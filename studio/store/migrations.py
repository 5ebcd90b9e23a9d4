"""The shape of the database. Append only: a function that has been released is never changed."""

from sqlite_utils import Database, Migrations

MIGRATIONS = Migrations("studio")


@MIGRATIONS()
def m001_runs_and_data_sets(db: Database) -> None:
    for statement in _FIRST.split(";"):
        db.conn.execute(statement)


@MIGRATIONS()
def m002_runs_that_go_on(db: Database) -> None:
    """`deaths` counts how often the process died at the place `died_at` in a row."""
    for column in (
        "deaths INTEGER NOT NULL DEFAULT 0",
        "died_at TEXT NOT NULL DEFAULT ''",
        "priority INTEGER NOT NULL DEFAULT 0",
        "archived INTEGER NOT NULL DEFAULT 0",
        "paused INTEGER NOT NULL DEFAULT 0",
    ):
        db.conn.execute(f"ALTER TABLE runs ADD COLUMN {column}")


@MIGRATIONS()
def m003_where_a_phase_was_taken_up(db: Database) -> None:
    """`first_step` is where the phase stood when it was begun for the last time."""
    db.conn.execute("ALTER TABLE phases ADD COLUMN first_step INTEGER")


@MIGRATIONS()
def m004_heartbeats(db: Database) -> None:
    """`beat` is counted up by the owner for as long as it lives; `parts`: into how many parts batches are cut from the
    start, since memory ran out."""
    for column in ("beat INTEGER NOT NULL DEFAULT 0", "parts INTEGER NOT NULL DEFAULT 1"):
        db.conn.execute(f"ALTER TABLE runs ADD COLUMN {column}")
    db.conn.execute("ALTER TABLE leases ADD COLUMN beat INTEGER NOT NULL DEFAULT 0")


@MIGRATIONS()
def m005_what_stands_beside_a_verdict(db: Database) -> None:
    """`cautions` is a list of JSON, `next_step` an object or NULL."""
    db.conn.execute("ALTER TABLE runs ADD COLUMN cautions TEXT NOT NULL DEFAULT '[]'")
    db.conn.execute("ALTER TABLE runs ADD COLUMN next_step TEXT")


@MIGRATIONS()
def m006_who_made_what(db: Database) -> None:
    """`made_by` is an address, NULL where nobody had signed in. The audit log can only be added to."""
    for table in ("runs", "datasets"):
        db.conn.execute(f"ALTER TABLE {table} ADD COLUMN made_by TEXT")
    db.conn.execute(
        "CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, who TEXT NOT NULL,"
        " what TEXT NOT NULL, about TEXT NOT NULL)"
    )
    for act in ("UPDATE", "DELETE"):
        db.conn.execute(
            f"CREATE TRIGGER no_{act.lower()}_of_audit BEFORE {act} ON audit"
            " BEGIN SELECT RAISE(ABORT, 'the audit log can only be added to'); END"
        )


@MIGRATIONS()
def m007_runs_that_are_named_and_found(db: Database) -> None:
    """What people call a run (`tags` is a list of JSON), and in `summaries` what its models reached, so that a long
    list can be sorted: written by a trigger whenever a verdict is."""
    for column in ("name TEXT NOT NULL DEFAULT ''", "note TEXT NOT NULL DEFAULT ''", "tags TEXT NOT NULL DEFAULT '[]'"):
        db.conn.execute(f"ALTER TABLE runs ADD COLUMN {column}")
    db.conn.execute("CREATE INDEX runs_listed ON runs (archived, status, paused, id)")
    db.conn.execute(_SUMMARIES)
    summary = f"INSERT OR REPLACE INTO summaries {_SUMMARY} GROUP BY run_id"
    db.conn.execute(summary.replace(":run", "(SELECT id FROM runs WHERE verdict IS NOT NULL)"))
    db.conn.execute(
        "CREATE TRIGGER summary_of_verdict AFTER UPDATE OF verdict ON runs WHEN NEW.verdict IS NOT NULL"
        f" BEGIN {summary.replace(':run', '(NEW.id)')}; END"
    )


_SUMMARIES = """
CREATE TABLE summaries (
    run_id INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    teacher REAL,
    student REAL,
    low REAL,
    high REAL,
    rows INTEGER,
    control REAL,
    teacher_bytes REAL,
    student_bytes REAL,
    teacher_ms REAL,
    student_ms REAL,
    teacher_runtime TEXT,
    student_runtime TEXT
)"""

_MEASURED = """
SELECT run_id, position, json_extract(event, '$.role') AS role, json_extract(event, '$.metric') AS metric,
       json_extract(event, '$.value') AS value, json_extract(event, '$.low') AS low,
       json_extract(event, '$.high') AS high, json_extract(event, '$.n') AS rows,
       json_extract(event, '$.runtime') AS runtime, json_extract(event, '$.split') AS split
FROM (SELECT run_id, position, CASE WHEN json_valid(event) THEN event ELSE '{}' END AS event
      FROM results WHERE run_id IN :run AND kind = 'evaluation')
WHERE json_extract(event, '$.split') IN ('', 'test') AND json_extract(event, '$.seed') IS NULL
"""
"""What was measured on test rows, or on none. A number that is none is no JSON: it is left out."""

_SUMMARY = f"""
SELECT run_id,
    max(CASE WHEN role = 'teacher' AND metric = leading THEN value END),
    max(CASE WHEN role = 'student' AND metric = leading THEN value END),
    max(CASE WHEN role = 'student' AND metric = leading THEN low END),
    max(CASE WHEN role = 'student' AND metric = leading THEN high END),
    max(CASE WHEN role = 'student' AND metric = leading THEN rows END),
    max(CASE WHEN role = 'control' AND metric = leading THEN value END),
    max(CASE WHEN role = 'teacher' AND metric = 'size_bytes' THEN value END),
    max(CASE WHEN role = 'student' AND metric = 'size_bytes' THEN value END),
    max(CASE WHEN role = 'teacher' AND metric = 'latency_ms' THEN value END),
    max(CASE WHEN role = 'student' AND metric = 'latency_ms' THEN value END),
    max(CASE WHEN role = 'teacher' AND metric = 'latency_ms' THEN runtime END),
    max(CASE WHEN role = 'student' AND metric = 'latency_ms' THEN runtime END)
FROM (
    SELECT *, first_value(metric) OVER (
        PARTITION BY run_id ORDER BY role = 'student' AND split = 'test' DESC, position
    ) AS leading FROM ({_MEASURED})
)"""
"""The first measure of a task decides, and is told first."""


@MIGRATIONS()
def m008_tokens(db: Database) -> None:
    """What programs ask with: `hash` is that of the token, which is kept nowhere."""
    db.conn.execute(
        "CREATE TABLE tokens (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,"
        " role TEXT NOT NULL, made_by TEXT, created_at REAL NOT NULL, expires_at REAL NOT NULL, used_at REAL,"
        " revoked_at REAL)"
    )


@MIGRATIONS()
def m009_marked_rows(db: Database) -> None:
    """Rows that somebody holds for mislabelled: `label` is JSON, what they should be. They go with their data set."""
    db.conn.execute(
        "CREATE TABLE marks (dataset_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,"
        " split TEXT NOT NULL, row INTEGER NOT NULL, label TEXT NOT NULL, made_by TEXT, created_at REAL NOT NULL,"
        " PRIMARY KEY (dataset_id, split, row)) WITHOUT ROWID"
    )


@MIGRATIONS()
def m010_searches_for_settings(db: Database) -> None:
    """A search goes with its trials, a trial with its run."""
    db.conn.execute(
        "CREATE TABLE sweeps (id INTEGER PRIMARY KEY AUTOINCREMENT, request_key TEXT NOT NULL UNIQUE,"
        " status TEXT NOT NULL CHECK (status IN ('running', 'paused', 'finished', 'failed')), config TEXT NOT NULL,"
        " message TEXT NOT NULL DEFAULT '', winner INTEGER REFERENCES runs (id) ON DELETE SET NULL,"
        " created_at REAL NOT NULL, made_by TEXT)"
    )
    db.conn.execute(
        "CREATE TABLE trials (sweep_id INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,"
        " number INTEGER NOT NULL, params TEXT NOT NULL, run_id INTEGER REFERENCES runs (id) ON DELETE CASCADE,"
        " pruned INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (sweep_id, number)) WITHOUT ROWID"
    )
    db.conn.execute("CREATE INDEX trials_by_run ON trials (run_id)")


@MIGRATIONS()
def m011_versions_of_data_sets(db: Database) -> None:
    """`family` is the number of the first data set, which may be gone; `change` counts rows, as JSON."""
    db.conn.execute(
        "CREATE TABLE versions (dataset_id INTEGER PRIMARY KEY REFERENCES datasets (id) ON DELETE CASCADE,"
        " family INTEGER NOT NULL, number INTEGER NOT NULL, change TEXT NOT NULL)"
    )
    db.conn.execute("CREATE INDEX versions_by_family ON versions (family, number)")


@MIGRATIONS()
def m012_summaries_of_the_test_rows_alone(db: Database) -> None:
    """A run that never read its test rows, such as a trial of a search, has no quality in its summary: before, the
    first number that was measured without rows stood there, its parameters."""
    summary = "INSERT OR REPLACE INTO summaries " + _SUMMARY.replace(
        "first_value(metric)", "first_value(CASE WHEN role = 'student' AND split = 'test' THEN metric END)"
    )
    summary += " GROUP BY run_id"
    db.conn.execute("DROP TRIGGER summary_of_verdict")
    db.conn.execute(
        "CREATE TRIGGER summary_of_verdict AFTER UPDATE OF verdict ON runs WHEN NEW.verdict IS NOT NULL"
        f" BEGIN {summary.replace(':run', '(NEW.id)')}; END"
    )
    db.conn.execute(summary.replace(":run", "(SELECT run_id FROM summaries)"))


@MIGRATIONS()
def m013_what_a_version_was_made_of(db: Database) -> None:
    """`parent` is the data set that `change` counts against, NULL where that was not written down."""
    db.conn.execute("ALTER TABLE versions ADD COLUMN parent INTEGER")


@MIGRATIONS()
def m014_whether_a_worker_has_begun(db: Database) -> None:
    """`begun`: the worker of the run, the one that carries it out now, has begun a stage."""
    db.conn.execute("ALTER TABLE runs ADD COLUMN begun INTEGER NOT NULL DEFAULT 0")


@MIGRATIONS()
def m015_how_a_run_was_measured(db: Database) -> None:
    """`edition` is `studio.events.EDITION` of the version that gave the verdict; 0 of those before it was counted."""
    db.conn.execute("ALTER TABLE runs ADD COLUMN edition INTEGER NOT NULL DEFAULT 0")


_FIRST = """
CREATE TABLE datasets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    task TEXT NOT NULL,
    labels TEXT NOT NULL,
    splits TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    columns TEXT NOT NULL,
    report TEXT NOT NULL,
    ready INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    request_key TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'finished', 'stopped', 'failed')),
    config TEXT NOT NULL,
    dataset_id INTEGER NOT NULL REFERENCES datasets (id),
    owner TEXT,
    phase TEXT,
    phase_started_at REAL,
    step INTEGER NOT NULL DEFAULT 0,
    total INTEGER,
    detail TEXT NOT NULL DEFAULT '',
    stop_requested INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    message TEXT,
    cure TEXT,
    outcome TEXT,
    verdict TEXT,
    created_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL
);
CREATE INDEX runs_by_status ON runs (status, id);
CREATE TABLE phases (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    seconds REAL,
    steps INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, name)
) WITHOUT ROWID;
CREATE TABLE metrics (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    phase TEXT NOT NULL,
    step INTEGER NOT NULL,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (run_id, phase, step, name)
) WITHOUT ROWID;
CREATE TABLE logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    time REAL NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX logs_by_run ON logs (run_id, id);
CREATE TABLE results (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    kind TEXT NOT NULL,
    position INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (run_id, kind, position)
) WITHOUT ROWID;
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    expires_at REAL NOT NULL
) WITHOUT ROWID
"""
