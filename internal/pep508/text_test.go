package pep508

import (
	"encoding/json"
	"testing"
)

// Facts with requirements in them are kept as JSON: a marker or a specifier that is lost
// on the way back would change what is built.
func TestRequirementsSurviveJSON(t *testing.T) {
	for _, text := range []string{
		"foo", "foo[b,a]>=1,<2", `foo!=1.5; python_version < "3.9" and extra == "x"`, `foo @ https://example.org/foo.zip ; os_name == "posix"`, "foo===1.0.weird",
	} {
		want, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Requirement
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if got.String() != want.String() || got.Marker.Eval(Linux("3.8.1", "x86_64"), "x") != want.Marker.Eval(Linux("3.8.1", "x86_64"), "x") {
			t.Errorf("%s came back as %s", want, got)
		}
	}
}
