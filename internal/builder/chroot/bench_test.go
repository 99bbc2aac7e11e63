package chroot

import (
	"fmt"
	"testing"

	"reqpm/internal/builder"
)

// BenchmarkOverhead is what a build of next to nothing costs once its layer is there:
// child, overlays, parsing, rpmbuild itself, copying. Root only.
func BenchmarkOverhead(b *testing.B) {
	base := open(b)
	job := specJob(b, "nothing", "BuildRequires: gcc\nBuildRequires: make\n", "%build")
	out := job.ResultDir
	mustBuild(b, base, job) // makes the layer
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		job.ResultDir = fmt.Sprint(out, i)
		mustBuild(b, base, job)
	}
}

// BenchmarkFreshSpec is the same with a spec never seen before.
func BenchmarkFreshSpec(b *testing.B) {
	base := open(b)
	mustBuild(b, base, specJob(b, "first", "BuildRequires: gcc\nBuildRequires: make\n", "%build"))
	for i := 0; b.Loop(); i++ {
		mustBuild(b, base, specJob(b, fmt.Sprint("nothing", i), "BuildRequires: gcc\nBuildRequires: make\n", "%build"))
	}
}

// BenchmarkRun is one hook asked in the sandbox.
func BenchmarkRun(b *testing.B) {
	base := open(b)
	for b.Loop() {
		if err := base.Run(b.Context(), builder.Command{Args: []string{"true"}}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBareRpmbuild is rpmbuild alone, by the sandbox's own clock, to compare with.
func BenchmarkBareRpmbuild(b *testing.B) {
	base := open(b)
	job := specJob(b, "nothing", "", "%build")
	total := 0.0
	for i := 0; b.Loop(); i++ {
		job.ResultDir = fmt.Sprint(b.TempDir(), i)
		res := mustBuild(b, base, job)
		for p, s := range res.Seconds {
			if p != "root" {
				total += s
			}
		}
	}
	b.ReportMetric(total/float64(b.N)*1000, "ms-in-rpmbuild/op")
}
