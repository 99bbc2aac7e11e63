package solve

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the explanations are now to testdata")

// conflictOf solves what has no solution.
func conflictOf(t *testing.T, src Source, req Request) *Conflict {
	t.Helper()
	sol, err := Solve(t.Context(), src, req)
	c, ok := errors.AsType[*Conflict](err)
	if !ok {
		t.Fatalf("want a conflict, got %v, %v", packages(sol), err)
	}
	return c
}

// The explanations in testdata were read as a user would; change them with
// -update and read them again.
func TestExplanations(t *testing.T) {
	var boto strings.Builder
	for i := range 300 {
		fmt.Fprintf(&boto, "boto3 1.%d: botocore==1.%d.0\n botocore 1.%d.0: urllib3>=1.25\n", i, i, i)
	}
	for _, tt := range []struct{ name, universe, roots, python string }{
		{
			name:     "constraint against a dependency",
			universe: "django 4.0: asgiref>=3.4\n django 5.0: asgiref>=3.7\n asgiref 3.4:\n asgiref 3.6:\n asgiref 3.7:\n x 1:",
			roots:    "x\ndjango==5.0\n-c asgiref<3.6",
		},
		{
			name:     "two pins that contradict",
			universe: "cryptography 49.0.0:\n cryptography 50.0.0:\n pyopenssl 26.0: cryptography<50,>=45\n pyopenssl 26.1: cryptography<50,>=46\n flask 3.0:",
			roots:    "flask\npyopenssl==26.1\ncryptography==50.0.0",
		},
		{
			name:     "two packages of one requirement",
			universe: "app 1.0: left | right\n left 1.0: shared<2\n left 1.1: shared<2\n right 1.0: shared>=2\n shared 1.0:\n shared 2.0:",
			roots:    "app",
		},
		{
			name:     "no such package",
			universe: "app 1.0: nosuch-lib>=1 | other\n other 1.0:",
			roots:    "app",
		},
		{
			name:     "no such version",
			universe: "app 1.0:\n app 1.1:\n app 2.0b1:",
			roots:    "app>=3",
		},
		{
			name:     "Python rules out the pin",
			universe: "django 4.2 py>=3.8:\n django 5.2 py>=3.10:\n django 6.0 py>=3.12:\n django 6.1 py>=3.12:",
			roots:    "django>=6", python: "3.12",
		},
		{
			name:     "Python rules out several lines",
			universe: "django 6.0 py>=3.12:\n numpy 2.4 py>=3.13:\n flask 3.0: nosuch\n other 1.0:",
			roots:    "django==6.0\nflask\nnumpy\nother==7\n-c numpy>=2", python: "3.13",
		},
		{
			name:     "Python rules out a dependency",
			universe: "app 1.0: numpy>=2.3\n numpy 2.2 py>=3.10:\n numpy 2.3 py>=3.13:\n numpy 2.4 py>=3.14:",
			roots:    "app", python: "3.13",
		},
		{
			name:     "only a pre-release would do",
			universe: "gevent 1.0: greenlet>=2\n greenlet 1.0:\n greenlet 2.1rc1:\n greenlet 3.0: missing",
			roots:    "gevent",
		},
		{
			name:     "only a yanked version would do",
			universe: "app 1.0: lib>=2\n lib 1.0:\n lib 2.0 !yanked:",
			roots:    "app",
		},
		{
			name:     "hundreds of versions",
			universe: boto.String() + "urllib3 1.24:\n urllib3 1.26:",
			roots:    "boto3\nurllib3<1.25",
		},
		{
			name:     "an extra",
			universe: "celery 5.0: kombu>=5 | kombu[redis]; extra=='redis'\n kombu 5.0: redis<5,>=4; extra=='redis'\n kombu 5.1: redis<5,>=4.1; extra=='redis'\n redis 4.0:\n redis 4.1:\n redis 5.0:",
			roots:    "celery[redis]\nredis>=5",
		},
		{
			name:     "no metadata",
			universe: "a 6.6.6:",
			roots:    "a",
		},
		{
			name: "several ways, none of them free",
			universe: `web 1.0: http<2 | json
				web 2.0: http>=2 | json
				http 1.0: tls<2
				http 2.0: tls>=2 | json<2
				json 1.0: tls>=3
				json 2.0: tls>=2
				tls 1.0:
				tls 2.0:`,
			roots: "web\njson>=1",
		},
		{
			name: "a choice that has to be tried",
			universe: `a 1.0: b | c
				b 1.0: d<2
				b 2.0: e<2
				c 1.0: d>=2
				c 2.0: e>=2
				c 3.0: d>=2 | e>=2
				f 1.0: b==1.0 | c<2
				f 2.0: b==2.0 | c==2.0
				f 3.0: c==3.0
				d 1.0:
				d 2.0:
				e 1.0:
				e 2.0:`,
			roots: "a\nf",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := parseUniverse(t, tt.universe)
			u.fail["a 6.6.6"] = errors.New("setup.py: apxs not found")
			c := conflictOf(t, u, request(t, tt.roots))
			if c.Python != tt.python {
				t.Errorf("Python %q, want %q", c.Python, tt.python)
			}
			got := c.Message + "\n--\n"
			for _, o := range c.Origins {
				got += fmt.Sprintf("%s | %s\n", o, o.Text)
			}
			file := filepath.Join("testdata", strings.ReplaceAll(tt.name, " ", "-")+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
