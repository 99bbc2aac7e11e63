package service_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"reqpm/internal/diagnose"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// failed is a build whose log asked for changes.
func failed(t *testing.T, id int64, target string, changes ...diagnose.Change) store.Step {
	t.Helper()
	result, err := json.Marshal(service.Built{State: "failed", Findings: []diagnose.Finding{{Cause: diagnose.MissingHeader, Changes: changes}}})
	if err != nil {
		t.Fatal(err)
	}
	return store.Step{ID: id, Run: 7, Package: "lxml==5.3.0", Target: target, Kind: store.Build, State: store.Failed, Result: result}
}

func TestAFixKeepsWhatWasSaidBefore(t *testing.T) {
	settings, _ := json.Marshal(service.Settings{Overrides: map[string]string{"lxml": "[env]\nWITH_XMLSEC = \"1\"\n"}})
	header := diagnose.Change{Do: diagnose.AddNative, Value: "header:libxml/xmlversion.h"}
	fix, ok := service.SuggestFix(store.Project{ID: 3, Settings: settings}, []store.Step{failed(t, 1, "el9", header), failed(t, 2, "el10", header)})
	if !ok || fix.Package != "lxml" || len(fix.Steps) != 2 || fix.NewRun {
		t.Fatalf("%+v, %v", fix, ok)
	}
	if !strings.Contains(fix.Text, "libxml") || !strings.Contains(fix.Text, "WITH_XMLSEC") || strings.Contains(fix.Text, "el9") {
		t.Errorf("the override is\n%s", fix.Text)
	}
	fix, ok = service.SuggestFix(store.Project{}, []store.Step{failed(t, 1, "el9", diagnose.Change{Do: diagnose.Constrain, Value: "setuptools<70"})})
	if !ok || !fix.NewRun || !strings.Contains(fix.Text, "setuptools<70") {
		t.Errorf("a build tool that the plan does not have takes a run of its own: %+v", fix)
	}
	if _, ok := service.SuggestFix(store.Project{}, []store.Step{failed(t, 1, "el9")}); ok {
		t.Error("a log that asks for nothing has a fix")
	}
}

func TestWhatIsNoOverrideIsRefused(t *testing.T) {
	for name, texts := range map[string]map[string]string{
		"a key that there is not": {"lxml": "build-require = []"},
		"a name with a path":      {"../lxml": ""},
		"no TOML":                 {"lxml": "["},
		"a file of the server":    {"lxml": "spec = \"/etc/passwd\""},
	} {
		if _, err := service.ReadOverrides(texts); !errors.Is(err, service.ErrOverride) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
