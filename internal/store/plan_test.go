package store

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
)

// planned are statements that are run at every step or on every page, with the index that each must walk; "": any.
var planned = map[string]string{
	"SELECT id FROM steps s WHERE s.state = 'ready' AND s.lane = 3 AND (s.avoid <> 'x' OR s.ready < 5) ORDER BY s.raised DESC, s.priority DESC, s.id LIMIT 1":                "steps_ready",
	"SELECT MIN(s.lane) FROM steps s WHERE s.state = 'ready' AND s.lane > 3":                                                                                                 "steps_ready",
	"SELECT MIN(lane) FROM steps WHERE state = 'ready' AND lane >= 0":                                                                                                        "steps_ready",
	"SELECT id FROM steps s WHERE s.state = 'waiting' AND s.lane = 3 ORDER BY s.raised DESC, s.priority DESC, s.id LIMIT 9":                                                  "steps_waiting",
	"SELECT COUNT(*) FROM steps WHERE state = 'waiting' AND lane >= 0":                                                                                                       "steps_waiting",
	"SELECT project, target, worker, exclusive FROM steps WHERE state = 'running' AND kind = 'build'":                                                                        "steps_kind",
	"SELECT id FROM steps WHERE state = 'running' AND worker > 0":                                                                                                            "steps_running",
	"SELECT id FROM steps WHERE state = 'running' AND worker = 3":                                                                                                            "steps_running",
	"SELECT EXISTS (SELECT 1 FROM steps WHERE retry_at > 0 AND (retry_at <= 3 OR retry_at > 9))":                                                                             "steps_retry",
	"SELECT EXISTS (SELECT 1 FROM steps WHERE run = 3 AND state IN ('waiting', 'ready', 'running'))":                                                                         "steps_run",
	"SELECT id FROM steps s WHERE s.kind IN ('build') AND s.id < 99 ORDER BY s.id DESC LIMIT 51":                                                                             "steps_kind_id",
	"SELECT id FROM steps s WHERE s.kind IN ('build') ORDER BY s.id DESC LIMIT 51":                                                                                           "steps_kind_id",
	"SELECT id FROM steps s WHERE s.project = 3 AND s.kind IN ('build') AND s.id < 99 ORDER BY s.id DESC LIMIT 51":                                                           "steps_project",
	"SELECT id FROM steps s WHERE s.project = 3 AND s.kind IN ('build') AND s.state IN ('failed') ORDER BY s.id DESC LIMIT 51":                                               "steps_project_state",
	"SELECT id FROM steps s WHERE s.kind IN ('build') AND s.state IN ('failed') ORDER BY s.id DESC LIMIT 51":                                                                 "steps_kind",
	"SELECT id FROM steps s WHERE s.kind IN ('build') AND s.state IN ('failed') AND (s.package, s.id) > ('x', 3) ORDER BY s.package, s.id LIMIT 51":                          "steps_kind_package",
	"SELECT id FROM steps s WHERE s.kind IN ('build') AND (s.package, s.id) > ('x', 3) ORDER BY s.package, s.id LIMIT 51":                                                    "steps_package",
	"SELECT MAX(id) FROM steps WHERE kind = 'build' AND package LIKE '%x%' GROUP BY package, project ORDER BY package, project LIMIT 20":                                     "COVERING INDEX steps_package_project",
	"SELECT MAX(id) FROM steps WHERE kind = 'build' AND package >= 'x' AND package < 'y' AND project IN (1, 2) GROUP BY package, project ORDER BY package, project LIMIT 20": "COVERING INDEX steps_package_project",
	"SELECT name, run, step FROM artifacts WHERE kind = 'rpm' AND name >= 'x' AND name < 'y' ORDER BY name, id LIMIT 9":                                                      "artifacts_name",
	"SELECT run, state, COUNT(*) FROM steps WHERE kind = 'build' AND run IN (1, 2, 3) GROUP BY run, state":                                                                   "steps_run",
	"SELECT id FROM runs WHERE project = 3 AND id < 9 ORDER BY id DESC LIMIT 51":                                                                                             "runs_project",
	"SELECT id FROM events WHERE id > 5 ORDER BY id LIMIT 100":                                                                                                               "",
	"SELECT step, COUNT(*) FROM edges WHERE needs IN (1, 2) GROUP BY step":                                                                                                   "edges_needs",
	"SELECT seconds FROM durations WHERE kind = 'build' AND target = 'y' AND package IN ('x', 'z')":                                                                          "durations_package",
	"SELECT MIN(lane) FROM steps WHERE state = 'waiting' AND lane >= 0":                                                                                                      "steps_waiting",
}

// fullStatistics are what SQLite knows of the table of steps of a server with 100,000 builds, nearly all of them queued: with it the planner finds
// other ways than in an empty database (all that waits, once, to find the first lane of it).
const fullStatistics = `INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
	('steps', 'sqlite_autoindex_steps_1', '100100 503 1'), ('steps', 'steps_kind', '100100 100001 16667 1'), ('steps', 'steps_kind_id', '100100 100001 1'),
	('steps', 'steps_kind_package', '100100 100001 16667 50 1'), ('steps', 'steps_package', '100100 100001 101 1'), ('steps', 'steps_package_project', '100100 100001 101 10 1'),
	('steps', 'steps_project', '100100 5001 5001 1'), ('steps', 'steps_project_state', '100100 5001 5001 2273 1'), ('steps', 'steps_ready', '25089 1255 1255 1 1'),
	('steps', 'steps_retry', '0 0'), ('steps', 'steps_run', '100100 503 250 250'), ('steps', 'steps_running', '4 4 1'), ('steps', 'steps_waiting', '74330 3717 3717 1 1'),
	('edges', 'edges_needs', '147751 4 1'), ('edges', 'sqlite_autoindex_edges_1', '147751 2 1'), ('runs', 'runs_project', '199 10 1'), ('runs', 'runs_state', '199 100 1')`

// Statements that are run often walk an index, however much there is: they read no whole table and sort nothing.
func TestQueryPlans(t *testing.T) {
	for name, statistics := range map[string]string{"empty": "", "full": "ANALYZE; DELETE FROM sqlite_stat1; " + fullStatistics} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "reqpm.db")
			s, err := Open(t.Context(), Config{URL: path})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.db.ExecContext(t.Context(), statistics)
			s.Close()
			if err != nil {
				t.Fatal(err)
			}
			if s, err = Open(t.Context(), Config{URL: path}); err != nil { // the planner reads them when a database is opened
				t.Fatal(err)
			}
			defer s.Close()
			for query, index := range planned {
				look(t, s.db, query, index)
			}
		})
	}
}

func look(t *testing.T, db *sql.DB, query, index string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
	if err != nil {
		t.Fatal(err)
	}
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(plan, "; ")
	if index != "" && !strings.Contains(text, index) || strings.Contains(text, "TEMP B-TREE FOR ORDER BY") || strings.Contains(text, "SCAN") && !strings.Contains(text, "CONSTANT ROW") && !strings.Contains(text, "INDEX") {
		t.Errorf("%s\n  %s", query, text)
	}
}
