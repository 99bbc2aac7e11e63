package solve

import (
	"errors"
	"testing"

	"reqpm/internal/pep440"
)

func TestSolve(t *testing.T) {
	for _, tt := range []struct {
		name, universe, roots, want string
		edit                        func(*testing.T, *Request)
	}{
		{name: "nothing asked"},
		{
			name:     "newest first",
			universe: "a 1.0:\n a 2.0: b\n b 1.0:\n b 1.10:\n b 1.9:",
			roots:    "a", want: "a=2.0 b=1.10",
		},
		{
			name:     "steps back to an older version",
			universe: "a 1.0: b<2\n a 2.0: b>=2\n b 1.0:\n b 2.0:\n c 1.0: b<2",
			roots:    "a\nc", want: "a=1.0 b=1.0 c=1.0",
		},
		{
			name:     "of the user's own the first by name gets the newest, whatever their order and number of versions",
			universe: "celery 1.0: redis\n celery 2.0: kombu\n celery 3.0: kombu\n kombu 1.0: redis<2\n redis 1.0:\n redis 2.0:",
			roots:    "redis\ncelery", want: "celery=3.0 kombu=1.0 redis=1.0",
		},
		{
			name: "who rules out version after version gives way",
			universe: "boto 1.0:\n boto 1.1: date<3\n boto 1.2: date<3\n boto 1.3: date<3\n boto 1.4: date<3\n boto 1.5: date<3\n boto 1.6: date<3\n" +
				" s3 1.0: boto\n date 2.0:\n date 3.0:",
			roots: "date\ns3", want: "boto=1.6 date=2.0 s3=1.0",
		},
		{
			name:     "but not at once: a release or two back is what is expected",
			universe: "boto 1.0:\n boto 1.1: date<3\n boto 1.2: date<3\n s3 1.0: boto\n date 2.0:\n date 3.0:",
			roots:    "date\ns3", want: "boto=1.0 date=3.0 s3=1.0",
		},
		{
			name:     "constraint restricts but does not ask",
			universe: "a 1.0:\n a 2.0:\n b 1.0:",
			roots:    "a\n-c a<2\n-c b==1.0", want: "a=1.0",
		},
		{
			name:     "constraint on a package nobody has",
			universe: "a 1.0:",
			roots:    "a\n-c nosuch==1.0", want: "a=1.0",
		},
		{
			name:     "names differ by punctuation, lines of one name are merged",
			universe: "zope-interface 1.0:\n zope-interface 2.0: x; extra == 'test'\n zope-interface 3.0:\n x 1.0:",
			roots:    "Zope.Interface<3\nzope_interface[test]>1", want: "x=1.0 zope-interface[test]=2.0",
		},
		{
			name:     "pinned on one line, extra on another package's requirement",
			universe: "celery 5.0: kombu\n celery 5.1: kombu[redis]\n kombu 1.0: redis<5; extra=='redis'\n kombu 2.0: redis<6; extra=='redis'\n redis 4.0:\n redis 5.0:\n redis 6.0:",
			roots:    "celery\nkombu==1.0", want: "celery=5.1 kombu[redis]=1.0 redis=4.0",
		},
		{
			name:     "markers",
			universe: "a 1.0: b; python_version < '3.11' | c; python_version >= '3.11' | d; sys_platform == 'win32'\n c 1.0:",
			roots:    "a\nnosuch; python_version < '3'", want: "a=1.0 c=1.0",
		},
		{
			name:     "Requires-Python rules versions out",
			universe: "a 1.0 py>=3.8:\n a 2.0 py>=3.12:\n a 1.5 pynonsense:",
			roots:    "a", want: "a=1.5",
		},
		{
			name:     "cycle",
			universe: "a 1.0: b\n b 1.0: a>=1\n b 2.0: a>=2",
			roots:    "a", want: "a=1.0 b=1.0",
		},
		{
			name:     "cycle among extras, and an extra of itself",
			universe: "a 1.0: a[x,y]; extra=='all' | b[z]; extra=='x' | c; extra=='y'\n b 1.0: a[all]; extra=='z'\n c 1.0:",
			roots:    "a[all]", want: "a[all,x,y]=1.0 b[z]=1.0 c=1.0",
		},
		{
			name:     "requires itself in a version that is not it",
			universe: "a 1.0: a==1.0\n a 2.0: a==1.0",
			roots:    "a", want: "a=1.0",
		},
		{
			name:     "an extra's requirement steps its base back",
			universe: "a 1.0: b==1.0; extra=='x'\n a 2.0: b==2.0; extra=='x'\n b 1.0:\n b 2.0:",
			roots:    "a[x]\nb<2", want: "a[x]=1.0 b=1.0",
		},
		{
			name:     "no pre-release unasked",
			universe: "a 1.0:\n a 2.0rc1:", roots: "a", want: "a=1.0",
		},
		{
			name:     "pre-release named by the user",
			universe: "a 1.0:\n a 2.0rc1:", roots: "a>=2.0rc1", want: "a=2.0rc1",
		},
		{
			name:     "pre-release named by a constraint",
			universe: "a 1.0:\n a 2.0rc1:", roots: "a\n-c a>=1.0b1", want: "a=2.0rc1",
		},
		{
			name:     "pre-release named by another package",
			universe: "a 1.0: b>=2.0b1\n b 1.0:\n b 2.0b1:\n b 2.0b2:", roots: "b\na", want: "a=1.0 b=2.0b2",
		},
		{
			name:     "only pre-releases there are",
			universe: "a 1.0b1:\n a 1.0b2:", roots: "a", want: "a=1.0b2",
		},
		{
			name:     "only pre-releases match all requirements together",
			universe: "a 1.0: x>1\n b 1.0: x<2\n x 1.0:\n x 1.5b1:\n x 2.0:", roots: "a\nb", want: "a=1.0 b=1.0 x=1.5b1",
		},
		{
			name: "an older package rather than a pre-release nobody names",
			// the measured case: redis is stepped back
			universe: "kombu 5.0: redis<6.5; extra=='redis'\n kombu 5.1rc1:\n redis 6.0:\n redis 7.0:",
			roots:    "kombu[redis]\nredis", want: "kombu[redis]=5.0 redis=6.0",
		},
		{
			name:     "--pre",
			universe: "a 1.0:\n a 2.0rc1:", roots: "a", want: "a=2.0rc1",
			edit: func(_ *testing.T, r *Request) { r.Pre = true },
		},
		{
			name:     "the one who named the pre-release is given up",
			universe: "a 2.0: b>=2.0b1 | z<1\n a 1.0: b\n b 1.0:\n b 2.0b1:\n z 1.0:\n z 0.9: q\n q 1.0:\n c 1.0: q<1",
			roots:    "a\nz\nc; python_version<'3'\nb\nq>=2; python_version<'3'\n-c z>=1", want: "a=1.0 b=1.0 z=1.0",
		},
		{
			name:     "yanked is not taken",
			universe: "a 1.0:\n a 1.1 !yanked:", roots: "a>=1", want: "a=1.0",
		},
		{
			name:     "yanked is taken when pinned",
			universe: "a 1.0:\n a 1.1 !yanked:", roots: "a==1.1", want: "a=1.1",
		},
		{
			name:     "yanked is taken when another package pins it",
			universe: "a 1.0:\n a 1.1 !yanked:\n b 1.0: a===1.1", roots: "a\nb", want: "a=1.1 b=1.0",
		},
		{
			name:     "metadata that cannot be had rules a version out",
			universe: "a 1.0:\n a 6.6.6:", roots: "a", want: "a=1.0",
		},
		{
			name:     "an earlier choice is kept",
			universe: "a 1.0: b\n a 2.0: b\n b 1.0:\n b 2.0:\n b 3.0:", roots: "a\nb>1", want: "a=1.0 b=3.0",
			edit: func(t *testing.T, r *Request) {
				r.Prefer = map[string]pep440.Version{"a": version(t, "1.0"), "b": version(t, "1.0"), "other": version(t, "1")}
			},
		},
		{
			name:     "an earlier pre-release is kept where it fits",
			universe: "a 1.0:\n a 2.0rc1:\n b 1.0:\n b 2.0rc1:", roots: "a\nb<2", want: "a=2.0rc1 b=1.0",
			edit: func(t *testing.T, r *Request) {
				r.Prefer = map[string]pep440.Version{"a": version(t, "2.0rc1"), "b": version(t, "2.0rc1")}
			},
		},
		{
			name:     "an earlier version that was yanked since is kept where it fits",
			universe: "a 1.0:\n a 1.1 !yanked:\n a 1.2 !yanked:", roots: "a>=1", want: "a=1.1",
			edit: func(t *testing.T, r *Request) { r.Prefer = map[string]pep440.Version{"a": version(t, "1.1")} },
		},
		{
			name:     "no source: a pin is taken all the same",
			universe: "a 1.0:\n a 1.1 !wheel:", roots: "a==1.1", want: "a=1.1",
		},
		{
			name:     "no source: a whole project of wheels, several of them",
			universe: "a 1.0: torch | cuda\n torch 1.0 !wheel: cuda==1\n torch 2.0 !wheel: cuda==2\n cuda 1 !wheel:\n cuda 2 !wheel:\n cuda 3 !wheel:",
			roots:    "a", want: "a=1.0 cuda=2 torch=2.0",
		},
		{
			name:     "no source: all that is asked together leaves only wheels",
			universe: "a 1.0: x>1\n b 1.0: x<2\n x 1.0:\n x 1.5 !wheel:\n x 2.0:", roots: "a\nb", want: "a=1.0 b=1.0 x=1.5",
		},
		{
			name:     "no source: a wheel of a final version rather than a pre-release",
			universe: "a 1.0 !wheel:\n a 2.0rc1:", roots: "a", want: "a=1.0",
		},
		{
			name:     "given by URL",
			universe: "a 1.0: b\n b 3.0+git:",
			roots:    "a\nb @ git+https://example.org/b.git", want: "a=1.0 b=3.0+git",
		},
		{
			name:     "=== and !=",
			universe: "a 1.0:\n a 1.1:\n a 1.2:\n b 1.0:\n b 1.0.1:", roots: "a!=1.2\nb===1.0", want: "a=1.1 b=1.0",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := parseUniverse(t, tt.universe)
			u.fail["a 6.6.6"] = errors.New("setup.py failed")
			req := request(t, tt.roots)
			if tt.edit != nil {
				tt.edit(t, &req)
			}
			sol, err := Solve(t.Context(), u, req)
			if err != nil {
				t.Fatal(err)
			}
			if got := packages(sol); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if err := Check(t.Context(), sol, req, u); err != nil {
				t.Error(err)
			}
			if len(sol.Warnings) > 0 {
				t.Errorf("warnings: %q", sol.Warnings)
			}
		})
	}
}
