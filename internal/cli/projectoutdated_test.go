package cli

import (
	"encoding/json"
	"testing"

	"reqpm/internal/api"
)

// What the server's update check found is listed and taken, as the button of the page does it.
func TestRemoteOutdated(t *testing.T) {
	b := newRemoteBed(t)
	b.script.set(func(s *script) {
		s.newer = `[{"name": "mid", "version": "1.0", "newest": "3.0", "resolves": "2.0", "held_by": [{"package": "top 1.0", "requirement": "mid<3"}]}, {"name": "six", "version": "1", "newest": "2", "resolves": "1", "held_by": []}]`
	})
	b.must(create("--no-run")...)
	b.exits(exitOK, "has not looked", "project", "outdated", "app")
	b.must("run", "start", "app", "--wait")
	b.exits(exitOK, "top 1.0 requires mid<3", "project", "outdated", "app")
	b.exits(exitOK, "2 of 4 packages have a newer version, 1 can take one", "project", "outdated", "app")
	for want, args := range map[string][]string{
		"nothing newer of six": {"--take", "six"}, "do not go together": {"--take", "mid", "--take-all"}, "is about --take": {"--dry-run"}, "none is started": {"--wait"},
	} {
		b.exits(exitUsage, want, append([]string{"project", "outdated", "app"}, args...)...)
	}
	b.exits(exitOK, "version = \">=2.0\"", "project", "outdated", "app", "--take", "Mid", "--dry-run")
	var taken api.TakenNewer
	if err := json.Unmarshal([]byte(b.must("project", "outdated", "app", "--take-all", "--dry-run", "--json")), &taken); err != nil || !taken.DryRun || taken.Run != nil || len(taken.Versions) != 1 || taken.Overrides[0].Was != "" {
		t.Errorf("%+v %v", taken, err)
	}
	b.exits(exitOK, "the run app/2 begins with it", "project", "outdated", "app", "--take", "mid")
	if err := json.Unmarshal([]byte(b.must("project", "outdated", "app", "--take-all", "--dry-run", "--json")), &taken); err != nil || taken.Overrides[0].Was == "" {
		t.Errorf("the project says nothing of it: %+v %v", taken, err)
	}
	b.exits(exitOK, "4 built, 0 reused", "project", "outdated", "app", "--take-all", "--follow")
	t.Setenv("REQPM_TOKEN", b.token("builder"))
	b.exits(exitMissing, "role", "project", "outdated", "app", "--take-all")
}
