package cli_test

import (
	"encoding/json"
	"testing"

	"reqpm/internal/engine/makespan"
)

func TestBenchSchedule(t *testing.T) {
	code, stdout, stderr := execute(t, "bench", "schedule", "--graphs", "2", "--packages", "10", "--slots", "2,3", "--second", "200us", "--json")
	var doc struct {
		Ratio makespan.Spread
		Slots []struct{ Slots int }
	}
	if err := json.Unmarshal([]byte(stdout), &doc); code != 0 || err != nil {
		t.Fatalf("exit %d, %v\n%s", code, err, stderr)
	}
	if len(doc.Slots) != 2 || doc.Slots[1].Slots != 3 || doc.Ratio.Median < 1 || doc.Ratio.Max < doc.Ratio.Median {
		t.Errorf("%s", stdout)
	}
	for _, args := range [][]string{{"--slots", "0"}, {"--graphs", "0"}, {"--db", "oracle"}, {"--database", "postgres://x"}, {"more"}} {
		if code, _, stderr := execute(t, append([]string{"bench", "schedule"}, args...)...); code != 2 {
			t.Errorf("%q: exit %d: %s", args, code, stderr)
		}
	}
}
