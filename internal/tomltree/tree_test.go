package tomltree

import (
	"errors"
	"strings"
	"testing"
)

func TestValuesKnowTheirLine(t *testing.T) {
	root, err := Parse([]byte("a = 1\n[b]\nlist = [\n  \"x\",\n  \"y\",\n]\nc.d = \"z\"\n[[e]]\nf = true\n[[e]]\nf = false\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		n    *Node
		line int
		text string
	}{
		{root.Get("a"), 1, "1"}, {root.Get("b", "list").Items[1], 5, "y"}, {root.Get("b", "c", "d"), 7, "z"},
		{root.Get("e").Items[1].Get("f"), 11, "false"}, {root.Get("b"), 2, ""},
	} {
		if c.n == nil || c.n.Line != c.line || c.n.Text != c.text {
			t.Errorf("%+v, want %q on line %d", c.n, c.text, c.line)
		}
	}
	if _, err := Parse([]byte("a = 1\nb = \n")); err == nil {
		t.Error("a value is missing, and nothing is said")
	} else if at, ok := errors.AsType[*SyntaxError](err); !ok || at.Line != 2 {
		t.Errorf("the error is %v", err)
	}
}

func TestKeepBlanksWhatIsNotKept(t *testing.T) {
	in := "# about\ntargets.x.base = \"el9\"\nother = [\n  1,\n]\n[targets.mine]\nbase = \"el9\" # mine\n[package.a]\nversion = \"\"\"\n[targets]\n\"\"\"\n[targets.two]\narch = \"x86_64\"\n"
	want := "\ntargets.x.base = \"el9\"\n\n\n\n[targets.mine]\nbase = \"el9\" # mine\n\n\n\n\n[targets.two]\narch = \"x86_64\"\n"
	got := string(Keep([]byte(in), func(key string) bool { return key == "targets" }))
	if got != want {
		t.Errorf("kept\n%s\nwant\n%s", got, want)
	}
	if strings.Count(got, "\n") != strings.Count(in, "\n") {
		t.Error("lines moved")
	}
	if got := string(Keep([]byte("a ="), func(string) bool { return false })); got != "a =" {
		t.Errorf("what cannot be parsed became %q", got)
	}
}
