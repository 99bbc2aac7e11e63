package store

import (
	"path/filepath"
	"strings"
	"testing"
)

// The statements that are run at every step and on every page walk an index, however much there is: they
// read no whole table and sort nothing.
func TestQueryPlans(t *testing.T) {
	s, err := Open(t.Context(), Config{URL: filepath.Join(t.TempDir(), "reqpm.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for query, index := range map[string]string{
		"SELECT id FROM steps s WHERE s.state = 'ready' AND s.lane = 3 AND (s.avoid <> 'x' OR s.ready < 5) ORDER BY s.raised DESC, s.priority DESC, s.id LIMIT 1":                "steps_ready",
		"SELECT MIN(s.lane) FROM steps s WHERE s.state = 'ready' AND s.lane > 3":                                                                                                 "steps_ready",
		"SELECT MIN(lane) FROM steps WHERE state = 'ready'":                                                                                                                      "steps_ready",
		"SELECT id FROM steps s WHERE s.state = 'waiting' AND s.lane = 3 ORDER BY s.raised DESC, s.priority DESC, s.id LIMIT 9":                                                  "steps_waiting",
		"SELECT COUNT(*) FROM steps WHERE state = 'waiting'":                                                                                                                     "steps_waiting",
		"SELECT project, target, worker, exclusive FROM steps WHERE state = 'running' AND kind = 'build'":                                                                        "steps_kind",
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
	} {
		rows, err := s.db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
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
}
