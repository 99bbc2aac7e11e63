package reqfile

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGolden reads a whole application's files as they are written in practice:
// a compiled file with hashes, a hand-kept one with everything else. The golden
// file was compared with pip's own reading of the same files.
func TestGolden(t *testing.T) {
	set, err := Read(context.Background(), Request{
		FS: os.DirFS("testdata/golden"), Files: []string{"hand.txt"},
		Getenv: func(name string) (string, bool) { return "t0ken", name == "INDEX_TOKEN" },
	})
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		Requirements, Constraints []got
		Options                   Options
		Files, Warnings           []string
	}
	have := result{Options: set.Options, Files: set.Files, Warnings: set.Warnings}
	for _, q := range set.Requirements {
		have.Requirements = append(have.Requirements, show(q))
	}
	for _, q := range set.Constraints {
		have.Constraints = append(have.Constraints, show(q))
	}
	const name = "testdata/golden.json"
	if *updateGolden {
		data, err := json.MarshalIndent(have, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var want result
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

var updateGolden = flag.Bool("update", false, "write the golden file anew")
