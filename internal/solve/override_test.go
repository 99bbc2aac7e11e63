package solve

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/pep440"
)

// solved is Solve where there is a solution, held against Check.
func solved(t *testing.T, src Source, req Request) Solution {
	t.Helper()
	sol, err := Solve(t.Context(), src, req)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(t.Context(), sol, req, src); err != nil {
		t.Fatal(err)
	}
	return sol
}

func TestOverrides(t *testing.T) {
	const twoPins = "cryptography 49.0:\n cryptography 50.0:\n cryptography 51.0rc1:\n pyopenssl 26.1: cryptography<50,>=46"
	for _, tt := range []struct {
		name, universe, roots, want string
		warnings                    []string
	}{
		{
			name: "whoever asks", universe: twoPins, roots: "pyopenssl==26.1\ncryptography==50.0\n-o cryptography==50.0",
			want:     "cryptography=50.0 pyopenssl=26.1",
			warnings: []string{"--override cryptography ==50.0 counts in place of cryptography<50,>=46 of pyopenssl 26.1"},
		},
		{
			name: "a pre-release that it names", universe: twoPins, roots: "pyopenssl\n-o cryptography>=51.0rc1",
			want:     "cryptography=51.0rc1 pyopenssl=26.1",
			warnings: []string{"--override cryptography >=51.0rc1 counts in place of cryptography<50,>=46 of pyopenssl 26.1"},
		},
		{
			name: "constraints give way too", universe: "a 1.0: b\n b 1.0:\n b 2.0:", roots: "a\n-c b<2\n-o b==2.0",
			want: "a=1.0 b=2.0",
			warnings: []string{
				"--override b ==2.0 counts in place of b of a 1.0",
				"--override b ==2.0 counts in place of b<2 of constraints.txt:2",
			},
		},
		{
			name: "it asks for nothing", universe: "a 1.0: b; python_version<'3'\n b 1.0:", roots: "a\n-o b==1.0", want: "a=1.0",
			warnings: []string{"--override b ==1.0 changes nothing: no package of the set requires b"},
		},
		{
			name: "the extras asked for stay, its own come to them", universe: "a 1.0: b[x]<1\n b 1.0: c; extra=='x' | d; extra=='y'\n c 1.0:\n d 1.0:",
			roots: "a\n-o b[y]>=1", want: "a=1.0 b[x,y]=1.0 c=1.0 d=1.0",
			warnings: []string{"--override b[y] >=1 counts in place of b[x]<1 of a 1.0"},
		},
		{
			name: "an extra's requirement", universe: "a 1.0: b<2; extra=='x'\n b 1.0:\n b 2.0:", roots: "a[x]\n-o B>=2", want: "a[x]=1.0 b=2.0",
			warnings: []string{`--override B >=2 counts in place of b<2; extra == "x" of a 1.0`},
		},
		{
			name: "one that never holds leaves the package out", universe: "a 1.0: nosuch>=7", roots: "a\n-o nosuch; sys_platform == 'never'", want: "a=1.0",
		},
		{
			name: "of two, the one whose marker holds", universe: "a 1.0: b==9\n b 1.0:\n b 2.0:",
			roots: "a\n-o b==1.0; python_version >= '3.11'\n-o b==2.0; python_version < '3.11'", want: "a=1.0 b=1.0",
			warnings: []string{"--override b ==1.0 counts in place of b==9 of a 1.0"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sol := solved(t, parseUniverse(t, tt.universe), request(t, tt.roots))
			if got := packages(sol); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if !slices.Equal(sol.Warnings, tt.warnings) {
				t.Errorf("warnings\n%s\nwant\n%s", strings.Join(sol.Warnings, "\n"), strings.Join(tt.warnings, "\n"))
			}
		})
	}
}

func TestOverriddenEdgesSayBoth(t *testing.T) {
	u := parseUniverse(t, "a 1.0: b<2\n b 1.0:\n b 2.0:")
	sol := solved(t, u, request(t, "a\n-o b==2.0"))
	e := sol.Edges[1]
	if !e.Overridden || e.Req.String() != "b==2.0" || e.From.Text != "b<2" || sol.Edges[0].Overridden {
		t.Errorf("%+v", sol.Edges)
	}
}

func TestVersionsWithoutSourceArePassedOverAndSaid(t *testing.T) {
	u := parseUniverse(t, "certifi 2026.8.1:\n certifi 2026.9.1:\n certifi 2026.10.19 !wheel:\n certifi 2026.10.19.post1 !wheel:\n certifi 2027.1rc1 !wheel:")
	sol := solved(t, u, request(t, "certifi"))
	if got := packages(sol); got != "certifi=2026.9.1" {
		t.Errorf("got %s", got)
	}
	if want := []string{"certifi 2026.10.19.post1 has no source distribution; 2026.9.1 is taken"}; !slices.Equal(sol.Warnings, want) {
		t.Errorf("warnings %q", sol.Warnings)
	}
	// Who asked for the wheel was given up on the way.
	w := parseUniverse(t, "a 2.0: b>=2 | z<1\n a 1.0: b\n b 1.0:\n b 2.0 !wheel:\n z 1.0:\n z 0.9:")
	if got := packages(solved(t, w, request(t, "a\n-c z>=1\nz"))); got != "a=1.0 b=1.0 z=1.0" {
		t.Errorf("got %s", got)
	}
	// Not said where it is not the reason.
	for _, roots := range []string{"certifi<2026.10", "certifi==2026.8.1", "certifi==2026.10.19"} {
		if sol := solved(t, u, request(t, roots)); len(sol.Warnings) > 0 {
			t.Errorf("%s: warnings %q", roots, sol.Warnings)
		}
	}
	req := request(t, "certifi")
	req.Prefer = map[string]pep440.Version{"certifi": version(t, "2026.8.1")}
	if sol := solved(t, u, req); len(sol.Warnings) > 0 || packages(sol) != "certifi=2026.8.1" {
		t.Errorf("%s, warnings %q", packages(sol), sol.Warnings)
	}
}

func TestPinnedPackageWithoutMetadataIsKept(t *testing.T) {
	u := parseUniverse(t, "app 1.0: mod-wsgi[x]\n mod-wsgi 4.9:\n mod-wsgi 5.0:\n loose 1.0:\n loose 2.0:")
	apxs := errors.New("setup.py: apxs not found")
	u.fail["mod-wsgi 5.0"], u.fail["loose 2.0"] = apxs, apxs
	req := request(t, "app\nloose\nmod_wsgi==5.0")
	conflictOf(t, u, req)
	req.KeepUnknown = true
	sol := solved(t, u, req)
	if got := packages(sol); got != "app=1.0 loose=1.0 mod-wsgi[x]=5.0" {
		t.Fatalf("got %s", got)
	}
	for _, c := range sol.Packages {
		if (c.Unknown != nil) != (c.Name == "mod-wsgi") || c.Unknown != nil && !errors.Is(c.Unknown, apxs) {
			t.Errorf("%s: %v", c.Name, c.Unknown)
		}
	}
	if want := []string{"what mod-wsgi 5.0 requires could not be found out; it is kept because it is pinned: setup.py: apxs not found"}; !slices.Equal(sol.Warnings, want) {
		t.Errorf("warnings %q", sol.Warnings)
	}
	// A constraint pins as well; an error of the whole run is none of a version.
	req = request(t, "app\n-c mod-wsgi==5.0")
	req.KeepUnknown = true
	if got := packages(solved(t, u, req)); got != "app=1.0 mod-wsgi[x]=5.0" {
		t.Errorf("got %s", got)
	}
	u.fail["mod-wsgi 5.0"] = ErrFatal
	if _, err := Solve(t.Context(), u, req); !errors.Is(err, ErrFatal) {
		t.Errorf("got %v", err)
	}
}
