package pipeline

import (
	"testing"

	"reqpm/internal/metadata"
	"reqpm/internal/target"
)

func TestDisagreement(t *testing.T) {
	p := &Pipeline{cfg: Config{Target: target.Target{Arch: "x86_64", Python: target.Python{Version: "3.12.0"}}}}
	parse := func(text string) metadata.Metadata {
		m, err := metadata.Parse([]byte("Metadata-Version: 2.2\nName: a\nVersion: 1\n" + text))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, test := range []struct{ wheel, source, want string }{
		{"Requires-Dist: b>=1,<2\nRequires-Dist: C[y,x]\n", "Requires-Dist: c [x,y]\nRequires-Dist: b<2, >=1\n", ""},
		{"Requires-Dist: b\n", "Requires-Dist: b\nRequires-Dist: w; sys_platform == 'win32'\nRequires-Dist: t; extra == 'test'\n", ""},
		{"Requires-Dist: b>=1\n", "Requires-Dist: b>=2\nRequires-Dist: d\n", "only the wheel requires b >=1; only the source requires b >=2, d"},
		{"Requires-Python: >=3.8\n", "Requires-Python: >=3.13\n", `the wheel wants Python ">=3.8", the source ">=3.13"`},
	} {
		if got := p.disagreement(parse(test.wheel), parse(test.source)); got != test.want {
			t.Errorf("%q and %q: %q", test.wheel, test.source, got)
		}
	}
}
