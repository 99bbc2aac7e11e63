package service_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reqpm/internal/service"
	"reqpm/internal/store"
)

// TestEditOverride: a form changes its fields, and nothing else of the text.
func TestEditOverride(t *testing.T) {
	const text = "version = \"<6\"\nbuild-requires = [\"rpm:libxml2-devel\"]\n\n[env]\nWITH_X = \"1\"\n\n[target.el8]\nversion = \"<5\"\n"
	f, err := service.OverrideFieldsOf("lxml", text)
	if err != nil || f.Version != "<6" || len(f.BuildRequires) != 1 || f.BuildRequires[0] != "rpm:libxml2-devel" {
		t.Fatalf("%+v %v", f, err)
	}
	f.Version, f.BuildRequires, f.Requires, f.Wheel, f.Memory = ">=5", nil, []string{"celery[redis]"}, true, "4GiB"
	got, err := service.EditOverride("lxml", text, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`version = ">=5"`, `celery[redis]`, "wheel = true", `memory = "4GiB"`, `WITH_X = "1"`, "[target.el8]\nversion = \"<5\""} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "libxml2") || strings.Contains(got, "<6") {
		t.Errorf("what was taken out is still said:\n%s", got)
	}
	if got, err := service.EditOverride("lxml", "wheel = false\nallow-pure = true\n", service.OverrideFields{Version: "<6"}); err != nil || got != "version = \"<6\"\nwheel = false\n" {
		t.Errorf("what must not be is said no more, or what may be still is: %q %v", got, err)
	}
	// Extras of the package itself are a field of their own.
	got, err = service.EditOverride("celery", "requires = [\"six\"]\n", service.OverrideFields{Requires: []string{"six"}, Extras: []string{"redis", "sqs"}})
	if f, bad := service.OverrideFieldsOf("celery", got); err != nil || bad != nil || !strings.Contains(got, "celery[redis,sqs]") || !slices.Equal(f.Requires, []string{"six"}) || !slices.Equal(f.Extras, []string{"redis", "sqs"}) {
		t.Errorf("%q %v, read as %+v %v", got, err, f, bad)
	}
	for field, f := range map[string]service.OverrideFields{"extras": {Extras: []string{"a]"}}, "version": {Version: "nine\n"}, "build-requires": {BuildRequires: []string{"libxml2-devel"}}, "memory": {Memory: "much"}, "drop-requires": {DropRequires: []string{"a b"}}} {
		_, err := service.EditOverride("lxml", "", f)
		if e, ok := errors.AsType[*service.OverrideFieldError](err); !ok || e.Field != field {
			t.Errorf("a wrong %s: %v", field, err)
		}
	}
}

// TestTakeNewer: what the update check proved to fit is taken, on the targets where it fits, and a run begins.
func TestTakeNewer(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	settings, err := json.Marshal(service.Settings{Overrides: map[string]string{"numpy": "version = \"<3\"\n"}})
	if err != nil {
		t.Fatal(err)
	}
	p := b.project(store.Project{Name: "app", GitURL: "https://git.example.org/app", Targets: []string{"el8", "el9"}, Settings: settings})
	r := b.run(p)
	for target, found := range map[string]string{
		"el8": `[{"name": "numpy", "version": "1.0", "newest": "2.1", "resolves": "1.0"}, {"name": "six", "version": "1", "newest": "2", "resolves": "2"}]`,
		"el9": `[{"name": "numpy", "version": "2.0", "newest": "2.1", "resolves": "2.1"}]`} {
		if err := b.store.PutOutdated(t.Context(), store.Outdated{Project: p.ID, Target: target, Run: r.ID, Packages: 9, Found: json.RawMessage(found), Checked: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	newer, err := service.NewerOf(t.Context(), b.store.Queries, p.ID)
	if err != nil || len(newer) != 2 {
		t.Fatalf("%v %v", newer, err)
	}
	var run store.Run
	b.write(func(tx *store.Tx) (err error) {
		run, _, err = service.TakeNewer(t.Context(), tx, p.ID, newer, "newer versions")
		return err
	})
	got, err := b.store.Project(t.Context(), p.ID)
	if err != nil || run.ID == r.ID || run.Reason != "newer versions" {
		t.Fatalf("%+v %v", run, err)
	}
	numpy := service.OverrideOf(got, "numpy")
	if !strings.Contains(numpy, "version = \"<3\"\n\n[target.el9]") || !strings.Contains(numpy, ">=2.1,<3") || strings.Contains(numpy, "el8") {
		t.Errorf("of numpy it says\n%s", numpy)
	}
	if six := service.OverrideOf(got, "six"); !strings.Contains(six, "[target.el8]\nversion = \">=2\"") {
		t.Errorf("of six it says\n%s", six)
	}
}
