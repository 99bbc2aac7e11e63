package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"reqpm/internal/apt"
	"reqpm/internal/builder"
	"reqpm/internal/testindex"
)

// countingDebian counts how often the distribution is asked for anything.
type countingDebian struct {
	debian
	calls atomic.Int32
}

func (d *countingDebian) Candidates(ctx context.Context, names []string) (map[string]string, error) {
	d.calls.Add(1)
	return d.debian.Candidates(ctx, names)
}

func (d *countingDebian) Resolve(ctx context.Context, names []string) ([]apt.Package, error) {
	if len(names) > 0 {
		d.calls.Add(1)
	}
	return d.debian.Resolve(ctx, names)
}

// Resolving asks a backend first without the libraries that its build needs: apt takes seconds, and
// most backends answer without. One that does not is asked again with them.
func TestLibrariesForAQuestionOnlyWhereItFailsWithout(t *testing.T) {
	for _, test := range []struct {
		name   string
		needs  bool
		asked  int32
		system bool // whether the distribution was asked at all
	}{{"answers without", false, 1, false}, {"fails without", true, 2, true}} {
		t.Run(test.name, func(t *testing.T) {
			w, system := newWorkshop(t, 1), &countingDebian{debian: debian{"libicu-dev"}}
			var asked atomic.Int32
			w.Runner = func(ctx context.Context, c builder.Command) error {
				asked.Add(1)
				if test.needs && len(c.Debs) == 0 {
					return &builder.ExitError{Code: 1, Stderr: "icu not found"}
				}
				for _, b := range c.Binds {
					if b.Inside == "/out" {
						text := "Metadata-Version: 2.1\nName: pyicu\nVersion: 1\n"
						if err := os.WriteFile(filepath.Join(b.Host, "METADATA"), []byte(text), 0o644); err != nil {
							return err
						}
					}
				}
				_, err := fmt.Fprintln(c.Stdout, `{"hook": []}`)
				return err
			}
			l := localLine(t, t.TempDir(), w, system,
				testindex.Package{Name: "pyicu", Version: "1", Dynamic: true, Add: map[string]string{"x.c": "int x;\n", "setup.py": "ext_modules = []\n"}})
			l.lock(t, "pyicu")
			if asked.Load() != test.asked || (system.calls.Load() > 0) != test.system {
				t.Errorf("the backend was asked %d times, the distribution %d times", asked.Load(), system.calls.Load())
			}
		})
	}
}
