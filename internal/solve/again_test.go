package solve

import (
	"context"
	"testing"
	"time"
)

// Both were found by TestPreReleasesOnlyWithSupport, one in some hundred thousand universes, and
// never ended: the attempt to do without the version that only a wheel exists of came to it again,
// since what the user says (or does not say) let it in, and the pre-release that is asked for by
// name and has a source was shut out with it.
func TestOddChoiceIsLookedAtOnce(t *testing.T) {
	for name, c := range map[string]struct{ universe, roots, want string }{
		"a pre-release with a source is named": {`
a 1.0: b>=2.0rc1 | e[y]==1.*
b 1.0 !wheel
b 1.5 py>=3.12: d>=1.5
b 2.0rc1
b 2.0 !wheel: a[y]~=1.0
d 1.0: d==2.0rc1 | b[x] | f>=1.5
e 1.0: d | a[x,y]<3,>=2; extra == "y"
e 1.5
f 1.5 !wheel: b[x]===2.0; extra == "x"
`, "a", "a=1.0 b=2.0rc1 e[y]=1.5"},
		"the user's line opens what is barred": {`
a 1.0: c>=2.0rc1
a 1.5 !wheel
b 1.0: a[x] | a>=1.5 | d==1.0; extra == "x"
b 1.5 !wheel: f
b 2.0rc1: d; extra == "y"
c 1.0 !wheel: c[y]<2
c 1.5 !wheel: b===2.0
c 2.0rc1: d>2; extra == "x"
c 2.0 !wheel
d 1.0 !wheel: e!=1.5 | d<2.0,>1.5 | e>2; extra == "y"
e 1.0: b | b<2.0,>1.5 | e~=1.0
`, "-o a!=1.5\n-c c[x,y]>=1.5\na!=1.5\nb!=1.5", "a[x]=1.0 b=1.0 c=2.0rc1"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			defer stop()
			sol, err := Solve(ctx, parseUniverse(t, c.universe), request(t, c.roots))
			if err != nil {
				t.Fatal(err)
			}
			if got := packages(sol); got != c.want {
				t.Errorf("took %s, want %s; %q", got, c.want, sol.Warnings)
			}
		})
	}
}
