package solve

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

func TestMend(t *testing.T) {
	pythons := []PythonChoice{
		{pep508.Linux("3.9.21", "x86_64"), "--target el9-py39"},
		{pep508.Linux("3.13.1", "x86_64"), "--target el10-py313"},
		{pep508.Linux("3.12.9", "x86_64"), "--target el9"},
	}
	for _, tt := range []struct{ name, universe, roots, want string }{
		{
			name:     "pins that contradict, as published",
			universe: "cryptography 48.0.0:\n cryptography 49.0.0:\n cryptography 50.0.0:\n pyopenssl 26.1.0: cryptography<50,>=46\n pyopenssl 26.2.0: cryptography<51\n flask 3.0:",
			roots:    "flask\npyopenssl==26.1.0\ncryptography==50.0.0",
			want: `change requirements.txt:2 to  pyopenssl==26.2.0
change requirements.txt:3 to  cryptography==49.0.0
override what pyopenssl 26.1.0 says (cryptography<50,>=46):  --override 'cryptography==50.0.0'`,
		},
		{
			name: "a pin that another Python would suit, too",
			universe: `greenlet 2.0.2:
				greenlet 3.0rc3:
				greenlet 3.0.0:
				greenlet 3.1.0:
				gevent 23.9.1: greenlet>=3.0rc3; python_version<'3.12' | greenlet>=2.0.0; python_version>='3.12'`,
			roots: "gevent==23.9.1\ngreenlet==2.0.2",
			want: `change requirements.txt:2 to  greenlet==3.0.0
choose another Python:  --target el9
override what gevent 23.9.1 says (greenlet>=3.0rc3; python_version < "3.12"):  --override 'greenlet==2.0.2'`,
		},
		{
			name:     "a constraint",
			universe: "django 5.0: asgiref>=3.7\n asgiref 3.4:\n asgiref 3.6:\n asgiref 3.7:\n asgiref 3.8:",
			roots:    "django==5.0\n-c asgiref<3.6",
			want: `change constraints.txt:2 to  asgiref<=3.7  (takes asgiref 3.7)
override what django 5.0 says (asgiref>=3.7):  --override 'asgiref<3.6'
leave out constraints.txt:2:  asgiref<3.6  (takes asgiref 3.8)`,
		},
		{
			name:     "the Python, the next newer one that does",
			universe: "django 4.2 py>=3.8:\n django 6.0 py>=3.12:",
			roots:    "django>=6",
			want:     "change requirements.txt:1 to  django>=4.2  (takes django 4.2)\nchoose another Python:  --target el9",
		},
		{
			name:     "an older Python",
			universe: "old 1.0 py<3.10:", roots: "old",
			want: "choose another Python:  --target el9-py39",
		},
		{
			name:     "a pre-release",
			universe: "gevent 1.0: greenlet>=2\n greenlet 1.0:\n greenlet 2.1rc1:\n greenlet 3.0: missing",
			roots:    "gevent",
			want: `allow a pre-release:  --constrain 'greenlet==2.1rc1'
override what gevent 1.0 says (greenlet>=2):  --override 'greenlet==1.0'`,
		},
		{
			name:     "a yanked version",
			universe: "app 1.0: lib>=2\n lib 1.0:\n lib 2.0 !yanked:",
			roots:    "app",
			want: `allow a version that was yanked:  --constrain 'lib==2.0'
override what app 1.0 says (lib>=2):  --override 'lib==1.0'`,
		},
		{
			name:     "two packages that contradict each other",
			universe: "app 1.0: left | right\n left 1.0: shared<2\n left 1.1: shared<2\n right 1.0: shared>=2\n shared 1.0:\n shared 2.0:",
			roots:    "app",
			want:     "override what left 1.1 says (shared<2):  --override 'shared==2.0'",
		},
		{
			name:     "no version fits an override: it is relaxed",
			universe: "a 1.0: b\n b 1.0:\n b 2.0:", roots: "a\n-o b==3.0",
			want: "change --override to  b==2.0",
		},
		{
			name:     "nothing helps",
			universe: "app 1.0: nosuch", roots: "app",
		},
		{
			name:     "operators, extras and markers stay",
			universe: "a 1.4.2: lib>=2\n a 1.5.1:\n lib 1.0:", roots: "A[x]~=1.4.1,!=1.5.1; python_version>'3'",
			want: "change requirements.txt:1 to  A[x]~=1.5.1; python_version > \"3\"  (takes a 1.5.1)\n" +
				"override what a 1.4.2 says (lib>=2):  --override 'lib==1.0'",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, req := parseUniverse(t, tt.universe), request(t, tt.roots)
			c := conflictOf(t, u, req)
			changes, err := Mend(t.Context(), u, req, c, MendOptions{Pythons: pythons})
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, change := range changes {
				lines = append(lines, change.String())
			}
			if got := strings.Join(lines, "\n"); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			c.Changes = changes
			if shown := strings.Contains(c.Error(), "\nThis would work:\n  - "); shown != (tt.want != "") {
				t.Errorf("the message is %s", c.Error())
			}
		})
	}
}

func TestMendOffersAWheelWhereOnlySourceIsMissing(t *testing.T) {
	// lib 2.0 is found out too late to be let in by itself: a 1.0 asks for it, and is given up for good.
	u := parseUniverse(t, "app 1.0: lib>=2\n app 1.1: lib>=2 | nosuch\n lib 1.0:\n lib 2.0 !wheel:\n lib 3.0: nosuch")
	c := conflictOf(t, u, request(t, "app"))
	changes, err := Mend(t.Context(), u, request(t, "app"), c, MendOptions{})
	if err != nil || len(changes) == 0 || changes[0].Text != "--allow-wheel lib" {
		t.Fatalf("%v, %v\n%s", changes, err, c)
	}
	if got := fmt.Sprint(changes[0].Takes[0].Name, changes[0].Takes[0].Version); got != "lib2.0" {
		t.Errorf("takes %v", changes[0].Takes)
	}
}

func TestMendKeepsItsBounds(t *testing.T) {
	u := parseUniverse(t, "a 1.0: b<2\n b 1.0:\n b 2.0:\n b 3.0:")
	req := request(t, "a\nb==3.0")
	c := conflictOf(t, u, req)
	for _, tt := range []struct{ solves, most, want int }{{1, 0, 0}, {2, 0, 1}, {0, 1, 1}, {0, 0, 2}} {
		changes, err := Mend(t.Context(), u, req, c, MendOptions{Solves: tt.solves, Most: tt.most})
		if err != nil || len(changes) != tt.want {
			t.Errorf("%+v: %v, %v", tt, changes, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	if changes, err := Mend(ctx, u, req, c, MendOptions{}); err == nil || len(changes) > 0 {
		t.Errorf("%v, %v", changes, err)
	}
	// What cannot be had is not asked for again and again.
	w := &watched{universe: u}
	if _, err := Mend(t.Context(), w, req, c, MendOptions{}); err != nil {
		t.Fatal(err)
	}
	for key, n := range w.calls {
		if n > 1 {
			t.Errorf("%s was asked for %d times", key, n)
		}
	}
}

func TestEveryChangeWorksAndNoneIsMissed(t *testing.T) {
	newer := PythonChoice{pep508.Linux("3.12.1", "x86_64"), "3.12"}
	counts := map[ChangeKind]int{}
	rapidRuns(t, 2000, func(t *rapid.T) {
		p := drawProblem(t, false)
		p.req.KeepUnknown = false
		_, conflict := solveProblem(t, p)
		if conflict == nil {
			return
		}
		changes, err := Mend(t.Context(), p.u, p.req, conflict, MendOptions{Pythons: []PythonChoice{newer}, Solves: 1000, Most: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			counts[c.Kind]++
			q := p.changed(t, c, newer)
			if !q.exhaustive(anything) {
				t.Fatalf("%s does not help\n%s", c, p)
			}
			if sol, conflict := solveProblem(t, q); conflict != nil {
				t.Fatalf("%s is not found to help: %s\n%s", c, packages(sol), p)
			}
		}
		p.missesNone(t, changes, newer)
	})
	t.Log(counts)
	for _, kind := range []ChangeKind{Relax, OtherPython, OverrideOne, DropOne} {
		if counts[kind] == 0 && !testing.Short() {
			t.Errorf("the universes do not test %s", kind)
		}
	}
}

// changed is p with what a change says done to it.
func (p problem) changed(t *rapid.T, c Change, newer PythonChoice) problem {
	parse := func(text string) pep508.Requirement {
		r, err := pep508.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	p.req.Roots, p.req.Overrides = slices.Clone(p.req.Roots), slices.Clone(p.req.Overrides)
	list := &p.req.Roots
	if c.Origin.File == "--override" {
		list = &p.req.Overrides
	}
	at := slices.IndexFunc(*list, func(r Root) bool { return r.Origin == c.Origin })
	switch c.Kind {
	case Relax:
		(*list)[at].Req = parse(c.Text)
	case DropOne:
		*list = slices.Delete(*list, at, at+1)
	case OtherPython:
		p.req.Env = newer.Env
	case OverrideOne:
		text := strings.TrimSuffix(strings.TrimPrefix(c.Text, "--override '"), "'")
		p.req.Overrides = append(p.req.Overrides, Root{Req: parse(text), Origin: Origin{File: "--override"}})
	}
	return p
}

// missesNone tries each change there could be by trying every choice of versions.
func (p problem) missesNone(t *rapid.T, changes []Change, newer PythonChoice) {
	has := func(kind ChangeKind, o Origin, text string) bool {
		return slices.ContainsFunc(changes, func(c Change) bool {
			return c.Kind == kind && (o == Origin{} || c.Origin == o) && strings.HasPrefix(c.Text, text)
		})
	}
	q := p
	q.req.Env = newer.Env
	if q.exhaustive(anything) && !has(OtherPython, Origin{}, "") {
		t.Fatalf("another Python would help\n%s", p)
	}
	for i, r := range p.req.Roots {
		q := p
		q.req.Roots = slices.Clone(p.req.Roots)
		q.req.Roots[i].Req.Specifiers = pep440.Specifiers{}
		if q.exhaustive(anything) && !has(Relax, r.Origin, "") && !has(DropOne, r.Origin, "") {
			t.Fatalf("relaxing %s would help\n%s", r.Origin, p)
		}
	}
	for i, o := range p.req.Overrides {
		q := p
		q.req.Overrides = slices.Clone(p.req.Overrides)
		q.req.Overrides[i].Req.Specifiers = pep440.Specifiers{}
		if q.exhaustive(anything) && !has(Relax, o.Origin, "") {
			t.Fatalf("relaxing the override would help\n%s", p)
		}
	}
	for _, name := range names {
		if p.overrides(name) {
			continue
		}
		q := p
		q.req.Overrides = append(slices.Clone(p.req.Overrides), Root{Req: pep508.Requirement{Name: name}})
		own := slices.ContainsFunc(p.req.Roots, func(r Root) bool {
			return r.Req.Key() == name && (has(Relax, r.Origin, "") || has(DropOne, r.Origin, ""))
		})
		if q.exhaustive(anything) && !own && !has(OverrideOne, Origin{}, "--override '"+name+"=") &&
			!has(OverrideOne, Origin{}, "--override '"+name+"<") && !has(OverrideOne, Origin{}, "--override '"+name+">") &&
			!has(OverrideOne, Origin{}, "--override '"+name+"!") && !has(OverrideOne, Origin{}, "--override '"+name+"~") {
			t.Fatalf("overriding %s would help, found %v\n%s", name, changes, p)
		}
	}
}
